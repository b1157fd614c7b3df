import { assert, type HostFloats } from '@troupe/core';
import type { Device, Floats, KernelCall } from '@troupe/kernel-set';
import { roomFor, type GradientSlice } from '@troupe/model';
import type { GradientSink } from '../gradient-sink.ts';
import { assertWithin, type Range } from '../gradients.ts';

/** A part of a shard's state, as it travels. */
export interface ShardState {
  readonly weights: HostFloats;
  readonly m: HostFloats;
  readonly v: HostFloats;
}

/**
 * A plain copy of another shard's slice: weights, moments, and the finished gradient of the open step.
 *
 * The ward may hold other experts: layouts of all expert ranks are equal in size, and nothing here asks what an element means. Sums come
 * as the ward holds them (int64, or f32 where one kernel call finishes them) instead of rounded to f32: so the buddy's AdamW makes the same
 * call with the same operands and equal bits need no proof; rounding first would save 4 bytes an element and cost a kernel and a buffer.
 */
export class Ward {
  readonly owns: Range;
  readonly #device: Device;
  readonly #weights: Floats;
  readonly #m: Floats;
  readonly #v: Floats;
  readonly #sums: readonly GradientSlice[];

  /** @param like - the buddy's own gradients, whose kinds are those of the ward */
  constructor(device: Device, owns: Range, like: GradientSink) {
    const size = owns.to - owns.from;
    this.owns = owns;
    this.#device = device;
    this.#weights = device.floats(size);
    this.#m = device.floats(size);
    this.#v = device.floats(size);
    this.#sums = roomFor(device, like.slices(owns.from, owns.to));
  }

  keepState(from: number, { weights, m, v }: ShardState): void {
    const at = from - this.owns.from;
    assertWithin({ from, to: from + weights.length }, this.owns, 'a ward sends what it owns');
    this.#device.write(this.#weights.subarray(at), weights);
    this.#device.write(this.#m.subarray(at), m);
    this.#device.write(this.#v.subarray(at), v);
  }

  keepSum(from: number, values: HostFloats | BigInt64Array): void {
    const kept = this.#sums.find((each) => each.from <= from && from < each.to);
    assert(kept, 'a ward sends what it owns', { from });
    assertWithin({ from, to: from + values.length }, kept, 'a ward sends its sums one by one');
    this.#device.write(kept.values.subarray(from - kept.from), values);
  }

  /** Weights and moments of `range`, for the ward's next life. */
  state(range: Range): ShardState {
    const { weights, m, v } = this.#part(range);
    return { weights: this.#device.read(weights), m: this.#device.read(m), v: this.#device.read(v) };
  }

  /** BUD-2: the calls that the ward makes for the same decision. */
  updates(
    rates: Omit<KernelCall & { op: 'adamw' }, 'op' | 'weights' | 'out' | 'm' | 'v' | 'gradient'>,
  ): KernelCall[] {
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
