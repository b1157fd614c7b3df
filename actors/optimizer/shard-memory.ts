import { assert, type HostFloats } from '@troupe/core';
import type { Device, Floats, Int64s, KernelCall } from '@troupe/kernel-set';
import { initialise } from '@troupe/model';
import { assertWithin, intersect, lengthOf, type Range } from '../gradients.ts';
import type { OptimizerEvent } from './events.ts';
import type { Shard } from './shard.ts';
import type { ShardState } from '../shard-state.ts';

/** What the trainer decides about a step. */
export type Decision = Extract<OptimizerEvent, { readonly type: 'commit.decide' }>['body'];

/** The state of a shard on its device: master weights, Adam moments, and the norm of its gradient. */
export class ShardMemory {
  readonly #shard: Shard;
  readonly #device: Device;
  readonly #m: Floats;
  readonly #v: Floats;
  readonly #norm128: Int64s;
  /** Memory of a device begins as zeros: the first draw leaves it untouched, and the pages to the threads of the first update. */
  #hasMoments = false;

  constructor(shard: Shard) {
    const { device } = shard.worker;
    const numOwned = lengthOf(shard.owns);
    this.#shard = shard;
    this.#device = device;
    this.#m = device.floats(numOwned);
    this.#v = device.floats(numOwned);
    this.#norm128 = device.int64s(2);
  }

  /** Weights of a version in the group's buffer. */
  weights(version: number, { from, to }: Range): Floats {
    return this.#shard.buffers.weights.at(version).data.subarray(from, to);
  }

  /** Puts weights of a version that begin at `from`. */
  putWeights(version: number, from: number, weights: HostFloats): void {
    const whole = { from: 0, to: this.#shard.group.flat.length };
    assertWithin({ from, to: from + weights.length }, whole, 'weights lie in the buffer of their group');
    this.#device.write(this.#shard.buffers.weights.at(version).data.subarray(from), weights);
  }

  /** Draws weights from the seed, with moments of zero. */
  draw(version: number): readonly KernelCall[] {
    const { owns, group, worker } = this.#shard;
    if (this.#hasMoments) {
      this.#device.zero(this.#m);
      this.#device.zero(this.#v);
    }
    this.#hasMoments = true;
    const { units, starts } = group.flat;
    return units.flatMap((unit, index) => {
      const start = starts[index] ?? 0;
      const part = intersect(owns, { from: start, to: start + unit.size });
      return part === null
        ? []
        : initialise(unit, worker.job.seed, this.weights(version, part), part.from - start);
    });
  }

  /** Weights and moments of a part of the own slice, read from the device. */
  state(range: Range, version: number): ShardState {
    const { weights, m, v } = this.#part(range, version);
    return { weights: this.#device.read(weights), m: this.#device.read(m), v: this.#device.read(v) };
  }

  /** Takes a part of the state that begins at `from` of the group. */
  putState(version: number, from: number, { weights, m, v }: ShardState): void {
    const { owns } = this.#shard;
    assertWithin({ from, to: from + weights.length }, owns, 'a shard takes state that it owns');
    assert(m.length === weights.length && v.length === weights.length, 'weights have their moments', {
      from,
    });
    this.#hasMoments = true;
    this.putWeights(version, from, weights);
    this.#device.write(this.#m.subarray(from - owns.from), m);
    this.#device.write(this.#v.subarray(from - owns.from), v);
  }

  /** The calls that make the next version's weights, in the same buffer where there is one. */
  update({ apply, ...decided }: Decision, version: number): readonly KernelCall[] {
    const { owns, buffers, worker } = this.#shard;
    const { clip: _clip, ...settings } = worker.job.optimizer;
    const rates = { ...decided, ...settings };
    const [before, after] = [buffers.weights.at(version), buffers.weights.at(version + 1)];
    if (!apply)
      return before === after
        ? []
        : [{ op: 'copy', from: this.weights(version, owns), out: this.weights(version + 1, owns) }];
    return buffers.gradients.slices(owns.from, owns.to).map(({ from, to, values }) => ({
      op: 'adamw' as const,
      ...this.#part({ from, to }, version),
      out: this.weights(version + 1, { from, to }),
      gradient: values,
      ...rates,
    }));
  }

  /** Squared norm of the finished sum of the slice, into {@link norm}. */
  measure(): readonly KernelCall[] {
    const { reduces, buffers } = this.#shard;
    this.#device.zero(this.#norm128);
    return buffers.gradients
      .slices(reduces.from, reduces.to)
      .map(({ values }) => ({ op: 'sum.squares', gradient: values, norm128: this.#norm128 }));
  }

  /** A wide sum, once `measure` has run. */
  norm(): BigInt64Array {
    return this.#device.read(this.#norm128).slice();
  }

  #part(range: Range, version: number) {
    const { from } = this.#shard.owns;
    const [first, end] = [range.from - from, range.to - from];
    return {
      weights: this.weights(version, range),
      m: this.#m.subarray(first, end),
      v: this.#v.subarray(first, end),
    };
  }
}
