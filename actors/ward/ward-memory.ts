import { assert, type HostFloats } from '@troupe/core';
import type { Device, Floats, KernelCall } from '@troupe/kernel-set';
import { roomFor, type GradientSlice } from '@troupe/model';
import { assertWithin, type Range } from '../gradients.ts';
import type { ShardState } from '../shard-state.ts';

/** Rates of one update. */
export type Rates = Omit<KernelCall & { op: 'adamw' }, 'op' | 'weights' | 'out' | 'm' | 'v' | 'gradient'>;

/**
 * Memory for a plain copy of another shard's slice: weights, moments, and the finished gradient of the open step.
 *
 * Nothing here asks what an element means. Sums come as the shard holds them (int64, or f32 where one kernel call finishes them) instead of
 * rounded to f32: so AdamW makes the same call with the same operands and equal bits need no proof; rounding first would save 4 bytes an
 * element and cost a kernel and a buffer.
 */
export class WardMemory {
  readonly owns: Range;
  readonly #device: Device;
  readonly #weights: Floats;
  readonly #m: Floats;
  readonly #v: Floats;
  readonly #sums: readonly GradientSlice[];

  /** @param sums - how the gradients of the group come together */
  constructor(device: Device, owns: Range, sums: readonly Omit<GradientSlice, 'values'>[]) {
    const size = owns.to - owns.from;
    this.owns = owns;
    this.#device = device;
    this.#weights = device.floats(size);
    this.#m = device.floats(size);
    this.#v = device.floats(size);
    const within = sums.flatMap(({ kind, from, to }) => {
      const [first, end] = [Math.max(from, owns.from), Math.min(to, owns.to)];
      return first < end ? [{ kind, from: first, to: end }] : [];
    });
    this.#sums = roomFor(device, within);
  }

  keepState(from: number, { weights, m, v }: ShardState): void {
    const at = from - this.owns.from;
    assertWithin({ from, to: from + weights.length }, this.owns, 'a shard sends its buddy what it owns');
    this.#device.write(this.#weights.subarray(at), weights);
    this.#device.write(this.#m.subarray(at), m);
    this.#device.write(this.#v.subarray(at), v);
  }

  /** Takes a part of the finished sum that begins at `from`. */
  keepSum(from: number, kind: 'int64' | 'f32', values: HostFloats | BigInt64Array): void {
    const kept = this.#sums.find((each) => each.from <= from && from < each.to);
    assert(kept, 'a shard sends its buddy what it owns', { from });
    assert((kept.kind === 'stored') === (kind === 'f32'), 'a copy adds up as its shard does (BUD-2)', {
      from,
      kind,
    });
    assertWithin({ from, to: from + values.length }, kept, 'a shard sends its sums one by one');
    this.#device.write(kept.values.subarray(from - kept.from), values);
  }

  /** Weights and moments of `range`, for the shard's next life. */
  state(range: Range): ShardState {
    const { weights, m, v } = this.#part(range);
    return { weights: this.#device.read(weights), m: this.#device.read(m), v: this.#device.read(v) };
  }

  /** BUD-2: the calls that the shard makes for the same decision. */
  updates(rates: Rates): readonly KernelCall[] {
    return this.#sums.map(({ from, to, values }) => {
      const { weights, m, v } = this.#part({ from, to });
      return { op: 'adamw', weights, out: weights, m, v, gradient: values, ...rates };
    });
  }

  #part({ from, to }: Range) {
    const [first, end] = [from - this.owns.from, to - this.owns.from];
    return {
      weights: this.#weights.subarray(first, end),
      m: this.#m.subarray(first, end),
      v: this.#v.subarray(first, end),
    };
  }
}
