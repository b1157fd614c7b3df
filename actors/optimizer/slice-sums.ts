import type { Device, ExactSum, Int64s, Ints, KernelCall } from '@troupe/kernel-set';
import type { GradientSlice } from '@troupe/model';
import type { GradientSums } from '../gradient-sink.ts';
import { assertWithin, intersect, lengthOf, type Range } from '../gradients.ts';

/** Exact sums of one slice: under ZeRO 2 and 3 a shard holds no others. */
export class SliceSums implements GradientSums {
  readonly overflow: Ints;
  readonly #slice: Range;
  readonly #values: Int64s;

  constructor(device: Device, slice: Range) {
    this.#slice = slice;
    this.#values = device.int64s(lengthOf(slice));
    this.overflow = device.ints(1);
  }

  slices(from: number, to: number): readonly GradientSlice[] {
    const part = intersect({ from, to }, this.#slice);
    return part === null ? [] : [{ kind: 'added', ...part, values: this.#part(part) }];
  }

  sum(from: number, to: number): ExactSum {
    assertWithin({ from, to }, this.#slice, 'a shard adds up its own slice (GRD-3)');
    return { values: this.#part({ from, to }), overflow: this.overflow };
  }

  reset(): readonly KernelCall[] {
    return [{ op: 'sum.reset', sum: { values: this.#values, overflow: this.overflow } }];
  }

  #part({ from, to }: Range): Int64s {
    return this.#values.subarray(from - this.#slice.from, to - this.#slice.from);
  }
}
