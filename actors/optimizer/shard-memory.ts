import { assert, type HostFloats } from '@troupe/core';
import type { Device, Floats, Int64s, KernelCall } from '@troupe/kernel-set';
import { initialise, WeightArrays } from '@troupe/model';
import { trainedRanges } from '@troupe/spec';
import type { GradientSums } from '../gradient-sink.ts';
import { assertWithin, chunks, intersect, lengthOf, type Range } from '../gradients.ts';
import type { OptimizerEvent } from './events.ts';
import { MasterWeights, type PublishedWeights } from './master-weights.ts';
import type { Shard } from './shard.ts';
import type { ShardState } from '../shard-state.ts';
import { StateArrays } from '../state-arrays.ts';
import { roundsIn } from '../weight-source.ts';
import { SliceSums } from './slice-sums.ts';

/** What the trainer decides about a step. */
export type Decision = Extract<OptimizerEvent, { readonly type: 'commit.decide' }>['body'];

const none = new Float32Array(0);
/** Of an empty slice. */
const noState: ShardState = { weights: none, first: none, second: none };

/**
 * Where the weights of a shard lie for those who read them: beside it in their buffer, or in arrays of its own, of one version, from which
 * they are sent. Of these it has what it owns, and where it passes others' weights on to its group what goes on.
 */
function publishedBy(shard: Shard): PublishedWeights {
  const { worker, group, owns, among, residentBeside } = shard;
  const { layout } = worker.job;
  if (residentBeside !== null) return ({ from, to }, version) => residentBeside.at(version).slices(from, to);
  const passes = layout.zero > 0 && !layout.isGathered(group) && among.exchange.numLevels > 1;
  const held = passes ? among.exchange.part(1) : owns;
  const arrays = new WeightArrays(worker.device, group.flat, roundsIn(worker.job, group), held);
  return ({ from, to }) => arrays.slices(from, to);
}

/** The state of a shard on its device: master weights, what its optimizer keeps, and the norm of its gradient. */
export class ShardMemory {
  readonly weights: MasterWeights;
  readonly sums: GradientSums;
  readonly shard: Shard;
  readonly #device: Device;
  readonly #state: StateArrays;
  readonly #norm128: Int64s;
  /** Memory of a device begins as zeros: the first draw leaves it untouched, and the pages to the threads of the first update. */
  #hasState = false;

  constructor(shard: Shard) {
    const { device } = shard.worker;
    this.shard = shard;
    this.#device = device;
    this.weights = new MasterWeights(device, shard.owns, publishedBy(shard));
    this.#state = new StateArrays(device, shard.group, shard.owns);
    this.#norm128 = device.int64s(2);
    const gradients = shard.beside?.gradients;
    this.sums = gradients?.kind === 'shared' ? gradients : new SliceSums(device, shard.owns);
  }

  /** Puts weights of a version that begin at `from` where they are read, in the format of that place. */
  putPublished(version: number, from: number, weights: HostFloats | Uint16Array): void {
    const range = { from, to: from + weights.length };
    const whole = { from: 0, to: this.shard.group.flat.length };
    assertWithin(range, whole, 'weights lie in the buffer of their group');
    const [place] = this.weights.published(range, version);
    // What its own readers alone need passes by.
    if (place === undefined && this.shard.residentBeside === null) return;
    const fits = place?.to === range.to && (place.kind === 'bf16') === weights instanceof Uint16Array;
    assert(fits, 'weights travel as they are held, an array at a time', { ...range });
    this.#device.write<'f32' | 'bf16'>(place.values, weights);
  }

  /** Draws weights from the seed, with an optimizer's state of zero. */
  draw(version: number): readonly KernelCall[] {
    const { owns, group, worker } = this.shard;
    if (this.#hasState) this.#state.reset();
    this.#hasState = true;
    const { units, starts } = group.flat;
    return units.flatMap((unit, index) => {
      const start = starts[index] ?? 0;
      const part = intersect(owns, { from: start, to: start + unit.size });
      if (part === null) return [];
      const drawn = this.weights
        .slices(part, version)
        .flatMap(({ from, values }) =>
          initialise(worker.seats.unitAt(unit), worker.job.seed, values, from - start),
        );
      return [...drawn, ...this.weights.round(part, version)];
    });
  }

  /** Weights and the optimizer's state of a part of the own slice, read from the device in messages; one without any, where it is empty. */
  *state(range: Range, version: number): Generator<{ readonly body: Range; readonly tensors: ShardState }> {
    const parts = lengthOf(range) === 0 ? [] : this.weights.slices(range, version);
    if (parts.length === 0) yield { body: range, tensors: noState };
    for (const { from, values, ...part } of parts)
      for (const body of chunks({ from, ...part })) {
        const weights = this.#device.read(values.subarray(body.from - from, body.to - from));
        yield { body, tensors: { weights, ...this.#state.read(body) } };
      }
  }

  /** Takes a part of the state that begins at `from` of the group. */
  putState(version: number, from: number, { weights, ...state }: ShardState): void {
    const { owns } = this.shard;
    const range = { from, to: from + weights.length };
    assertWithin(range, owns, 'a shard takes state that it owns');
    this.#hasState = true;
    for (const part of this.weights.slices(range, version))
      this.#device.write(part.values, weights.subarray(part.from - from, part.to - from));
    this.#state.write(range, state);
  }

  /** Brings what was put into the own slice to those who read it rounded. */
  publish(version: number): readonly KernelCall[] {
    return this.weights.round(this.shard.owns, version);
  }

  /** The calls that make the next version's weights, in the same buffer where there is one. */
  update({ apply, ...rates }: Decision, version: number): readonly KernelCall[] {
    const { owns, worker } = this.shard;
    const { optimizer } = worker.job;
    if (!apply) return this.#isInPlace ? [] : [...this.#carryOver(version), ...this.publish(version + 1)];
    const updates = this.sums.slices(owns.from, owns.to).flatMap(({ from, to, values }) =>
      this.#successors({ from, to }, version).flatMap(({ before, after, ...part }) => {
        const gradient = values.subarray(part.from - from, part.to - from);
        return this.#state.updates({ ...part, weights: before, out: after, gradient }, optimizer, rates);
      }),
    );
    return [...updates, ...this.publish(version + 1)];
  }

  /** A skipped step: the next version's weights are those of this one. */
  #carryOver(version: number): readonly KernelCall[] {
    const { owns } = this.shard;
    const next = this.weights.published(owns, version + 1);
    return this.weights.published(owns, version).flatMap((each, index) => {
      const after = next[index];
      return each.kind === 'f32' && after?.kind === 'f32'
        ? [{ op: 'copy', from: each.values, out: after.values }]
        : [];
    });
  }

  /** Where the f32 weights of a version lie, and where those of the next one go. */
  #successors(range: Range, version: number): readonly (Range & { before: Floats; after: Floats })[] {
    const next = this.weights.slices(range, version + 1);
    return this.weights.slices(range, version).map(({ from, to, values }, index) => ({
      from,
      to,
      before: values,
      after: next[index]?.values ?? values,
    }));
  }

  /** Squared norm of the finished gradient of the slice, into {@link norm}: buffers have none. */
  measure(): readonly KernelCall[] {
    const { reduces, group } = this.shard;
    this.#device.zero(this.#norm128);
    return trainedRanges(group.flat, reduces)
      .flatMap(({ from, to }) => this.sums.slices(from, to))
      .map(({ values }) => ({ op: 'sum.squares', gradient: values, norm128: this.#norm128 }));
  }

  /** A wide sum, once `measure` has run. */
  norm(): BigInt64Array {
    return this.#device.read(this.#norm128).slice();
  }

  get #isInPlace(): boolean {
    const resident = this.shard.residentBeside;
    return resident === null || resident.at(0) === resident.at(1);
  }
}
