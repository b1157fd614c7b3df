import { assert } from '@troupe/core';
import type { Device, Floats, KernelCall } from '@troupe/kernel-set';
import type { FlatGradients } from '@troupe/model';
import type { Range } from '../gradients.ts';

/** A part of a shard's state. */
export interface ShardState {
  readonly weights: Floats;
  readonly m: Floats;
  readonly v: Floats;
}

/** A slice of gradients at [from, to) of the class's flat buffer, as `FlatGradients` gives it. */
type Sums = ReturnType<FlatGradients['slices']>[number];

/**
 * A plain copy of another shard's slice: weights, moments, and the finished gradient of the open step.
 *
 * The ward may hold other experts: layouts of all expert ranks are equal in size, and nothing here asks what an element means. Sums come
 * as the ward holds them (int64, or f32 where one kernel call finishes them) instead of rounded to f32: so the buddy's AdamW makes the same
 * call with the same operands and equal bits need no proof; rounding first would save 4 bytes an element and cost a kernel and a buffer.
 */
export class Ward {
  readonly owns: Range;
  readonly #weights: Floats;
  readonly #m: Floats;
  readonly #v: Floats;
  readonly #sums: readonly Sums[];

  /** @param like - the buddy's own gradients, whose kinds are those of the ward */
  constructor(device: Device, owns: Range, like: FlatGradients) {
    const size = owns.to - owns.from;
    this.owns = owns;
    this.#weights = device.floats(size);
    this.#m = device.floats(size);
    this.#v = device.floats(size);
    this.#sums = like.slices(owns.from, owns.to).map(({ from, to, values }) => ({
      from,
      to,
      values: values instanceof BigInt64Array ? device.int64s(to - from) : device.floats(to - from),
    }));
  }

  keepState(from: number, { weights, m, v }: ShardState): void {
    const at = from - this.owns.from;
    this.#weights.set(weights, at);
    this.#m.set(m, at);
    this.#v.set(v, at);
  }

  keepSum(from: number, values: Floats | BigInt64Array): void {
    const kept = this.#sums.find((each) => each.from <= from && from < each.to);
    assert(kept, 'a ward sends what it owns', { from });
    if (kept.values instanceof BigInt64Array) kept.values.set(values as BigInt64Array, from - kept.from);
    else kept.values.set(values as Floats, from - kept.from);
  }

  /** Weights and moments of `range`, for the ward's next life. */
  state({ from, to }: Range): ShardState {
    const [first, end] = [from - this.owns.from, to - this.owns.from];
    return {
      weights: this.#weights.subarray(first, end),
      m: this.#m.subarray(first, end),
      v: this.#v.subarray(first, end),
    };
  }

  /** BUD-2: the calls that the ward makes for the same decision. */
  updates(
    rates: Omit<KernelCall & { op: 'adamw' }, 'op' | 'weights' | 'out' | 'm' | 'v' | 'gradient'>,
  ): KernelCall[] {
    return this.#sums.map(({ from, to, values }) => {
      const { weights, m, v } = this.state({ from, to });
      return { op: 'adamw', weights, out: weights, m, v, gradient: values, ...rates };
    });
  }
}
