import type { Address } from '@troupe/core';
import { chunks, lengthOf, type Range } from '../gradients.ts';
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
    this.#spread = new Spread(shard.buffers.among.exchange);
  }

  /** The own slice of `version` is in place: readers beside hear of it, other holders get it. */
  publish({ version, attempt }: Update): void {
    this.#announce(this.#shard.owns, { version, attempt });
    if (this.#shard.worker.job.layout.zero === 1)
      this.#passWeights(this.#spread.own(roundOf(version, attempt)), { version, attempt });
  }

  acceptWeights({ from, to, level }: Part, { version, attempt }: Update): void {
    this.#announce({ from, to }, { version, attempt });
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
    for (const { to, range: body } of this.#shard.readers(range))
      this.#self.tell(to, 'weights.publish', { version, attempt, body });
  }

  /** Sends what is complete here to the group that lacks it. */
  #pass(passed: readonly Passing[], send: (to: Address, body: Part) => void): void {
    const { buffers, worker } = this.#shard;
    for (const { level, part } of passed) {
      for (const { worker: other } of buffers.among.others(level)) {
        const to = worker.job.layout.shardOf(buffers.group, other);
        for (const chunk of chunks(part)) send(to, { ...chunk, level });
      }
    }
  }

  #passWeights(passed: readonly Passing[], { version, attempt }: Update): void {
    this.#pass(passed, (to, body) => {
      const weights = this.#memory.weights(version, body);
      this.#self.tell(to, 'weights.spread', { version, attempt, body, tensors: { weights } });
    });
  }

  #passTotals(passed: readonly Passing[], { step, attempt }: Round): void {
    this.#pass(passed, (to, body) => {
      const { values } = this.#shard.buffers.gradients.sum(body.from, body.to);
      this.#self.tell(to, 'gradient.total', { step, attempt, body, tensors: { sums: values } });
    });
  }
}
