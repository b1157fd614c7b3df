import { assert, type Address, type HostFloats } from '@troupe/core';
import { chunks, lengthOf, WEIGHT_ELEMENTS, type Range } from '../gradients.ts';
import { readersOf } from '../weight-readers.ts';
import type { OptimizerSelf } from './events.ts';
import type { ShardMemory } from './shard-memory.ts';
import type { Shard } from './shard.ts';
import { Spread, type Passing } from './spread.ts';

/** Which weights, and which attempt brings them. */
interface Update {
  readonly version: number;
  readonly attempt: number;
}

/** Which sums. */
interface Round {
  readonly step: number;
  readonly attempt: number;
}

/** A part that a member of the group at a level sent. */
type Part = Range & { readonly level: number };

/** What is read of a part at once. */
interface Frame<A> {
  readonly body: Range;
  readonly values: A;
}

const roundOf = (number: number, attempt: number): string => `${number}/${attempt}`;

/**
 * How what shards made of their slices comes to all holders: new weights, or under ZeRO 0, where all update all, the finished sums.
 */
export class Distribution {
  readonly #self: OptimizerSelf;
  readonly #shard: Shard;
  readonly #memory: ShardMemory;
  readonly #spread: Spread;

  constructor(self: OptimizerSelf, shard: Shard, memory: ShardMemory) {
    this.#self = self;
    this.#shard = shard;
    this.#memory = memory;
    this.#spread = new Spread(shard.among.exchange);
  }

  /**
   * The own slice of `version` is in place: readers beside hear of it, other holders get it. Where weights are gathered they hear that all can
   * be: who owns a part holds a question back until it is there.
   */
  publish({ version, attempt }: Update): void {
    const { worker, group, owns, residentBeside } = this.#shard;
    const { layout } = worker.job;
    const isGathered = layout.isGathered(group);
    if (isGathered) this.#announce({ from: 0, to: group.flat.length }, { version, attempt });
    else if (residentBeside !== null) this.#announce(owns, { version, attempt });
    else for (const frame of this.#read(owns, version)) this.#bring(frame, { version, attempt });
    if (layout.zero > 0 && !isGathered)
      this.#passWeights(this.#spread.own(roundOf(version, attempt)), { version, attempt });
  }

  acceptWeights(
    { from, to, level }: Part,
    values: HostFloats | Uint16Array,
    { version, attempt }: Update,
  ): void {
    if (this.#shard.residentBeside !== null) this.#announce({ from, to }, { version, attempt });
    else this.#bring({ body: { from, to }, values }, { version, attempt });
    const passed = this.#spread.accept(roundOf(version, attempt), level, to - from);
    this.#passWeights(passed, { version, attempt });
  }

  /** The own slice is summed up (ZeRO 0). */
  shareTotal({ step, attempt }: Round): void {
    this.#passTotals(this.#spread.own(roundOf(step, attempt)), { step, attempt });
  }

  acceptTotal(part: Part, { step, attempt }: Round): void {
    const passed = this.#spread.accept(roundOf(step, attempt), part.level, lengthOf(part));
    this.#passTotals(passed, { step, attempt });
  }

  /** Tells those who read weights here that `range` of `version` is in place. */
  #announce(range: Range, { version, attempt }: Update): void {
    const { worker, group, rank } = this.#shard;
    for (const { to, range: body } of readersOf(worker.job.layout, { group, worker: rank }, range))
      this.#self.tell(to, 'weights.publish', { version, attempt, body });
  }

  /** Readers are on another node, and so is their buffer, which the courier beside them writes. */
  #bring({ body, values: weights }: Frame<HostFloats | Uint16Array>, { version, attempt }: Update): void {
    const { worker, group, rank } = this.#shard;
    const courier = worker.job.layout.courierOf(group, rank);
    assert(courier, 'readers on another node than their shard have a courier', { group: group.name, rank });
    this.#self.tell(courier, 'weights.bring', { version, attempt, body, tensors: { weights } });
  }

  /** Weights as they are read, in messages. */
  #read(part: Range, version: number): readonly Frame<HostFloats | Uint16Array>[] {
    const { device } = this.#shard.worker;
    return this.#memory.weights.published(part, version).flatMap((slice) =>
      [...chunks(slice, WEIGHT_ELEMENTS[slice.kind])].map((body) => {
        const values = slice.values.subarray(body.from - slice.from, body.to - slice.from);
        return { body, values: device.read<'f32' | 'bf16'>(values) };
      }),
    );
  }

  /** Sends what is complete here to the group that lacks it; each part is read from the device once. */
  #pass<A>(
    passed: readonly Passing[],
    read: (part: Range) => readonly Frame<A>[],
    send: (to: Address, body: Part, values: A) => void,
  ): void {
    const { group, among, worker } = this.#shard;
    for (const { level, part } of passed) {
      const others = among.others(level);
      if (others.length === 0) continue;
      const frames = read(part).map(({ body, values }) => ({ body: { ...body, level }, values }));
      for (const { worker: other } of others) {
        const to = worker.job.layout.shardOf(group, other);
        for (const { body, values } of frames) send(to, body, values);
      }
    }
  }

  #passWeights(passed: readonly Passing[], { version, attempt }: Update): void {
    const read = (part: Range): readonly Frame<HostFloats | Uint16Array>[] => this.#read(part, version);
    this.#pass(passed, read, (to, body, weights) =>
      this.#self.tell(to, 'weights.spread', { version, attempt, body, tensors: { weights } }),
    );
  }

  #passTotals(passed: readonly Passing[], { step, attempt }: Round): void {
    const { worker } = this.#shard;
    const read = (part: Range): readonly Frame<BigInt64Array>[] =>
      [...chunks(part)].map((body) => ({
        body,
        values: worker.device.read(this.#memory.sums.sum(body.from, body.to).values),
      }));
    this.#pass(passed, read, (to, body, sums) =>
      this.#self.tell(to, 'gradient.total', { step, attempt, body, tensors: { sums } }),
    );
  }
}
