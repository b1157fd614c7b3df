import { prng } from '@troupe/core';
import type { Device, ExactSum, Floats, GradientTarget, Int64s, Ints, Rows } from '@troupe/kernel-set';
import { floatsOf, int64sOf, intsOf } from './device-values.ts';

/** Seeded inputs: the same draws on every device, and exact in f32, so that bodies start from equal numbers. */
export class Draw {
  readonly #bits;
  #index = 0;

  constructor(seed: number) {
    this.#bits = prng({ seed, purpose: 'conformance' });
  }

  /** Uniform in [0, 1). */
  unit(): number {
    return this.#bits.uniform(this.#index++);
  }

  /** Integer in [least, bound). */
  integer(least: number, bound: number): number {
    return least + this.#bits.integer(this.#index++, bound - least);
  }

  chance(): boolean {
    return this.unit() < 0.5;
  }

  /** Uniform in ±scale, never nearer to 0 than `least`. */
  value(scale = 1, least = 0): number {
    const size = least + this.unit() * (scale - least);
    return Math.fround(this.chance() ? size : -size);
  }

  floats(device: Device, length: number, scale = 1, least = 0): Floats {
    return floatsOf(device, this.values(length, scale, least));
  }

  values(length: number, scale = 1, least = 0): Float64Array {
    return Float64Array.from({ length }, () => this.value(scale, least));
  }

  /** A matrix with a gap before it and between its rows; gaps hold numbers that must survive. */
  rows(device: Device, count: number, length: number, least = 0): Rows {
    if (this.chance()) return { data: this.floats(device, count * length, 1, least) };
    const offset = this.integer(0, 6);
    const stride = length + this.integer(0, 4);
    return {
      data: this.floats(device, count === 0 ? 0 : offset + (count - 1) * stride + length, 1, least),
      offset,
      stride,
    };
  }

  /** Bounds of `blocks` consecutive blocks, some of them empty. */
  bounds(rows: number, blocks: number): Int32Array {
    const starts = new Int32Array(blocks + 1);
    for (let i = 1; i < blocks; i++) starts[i] = this.integer(0, rows + 1);
    starts.sort();
    starts[0] = 0;
    starts[blocks] = rows;
    return starts.sort();
  }

  /** {@link bounds} on the device. */
  starts(device: Device, rows: number, blocks: number): Ints {
    return intsOf(device, this.bounds(rows, blocks));
  }

  /** A sum that already holds something. */
  sum(device: Device, length: number): ExactSum {
    const values = Array.from({ length }, () => BigInt(Math.round(this.value() * 2 ** 45)));
    return { values: int64sOf(device, values), overflow: device.ints(1) };
  }

  /** A sum that already holds something and is added to or replaced, or room for a stored gradient. */
  target(device: Device, length: number): GradientTarget {
    const kind = this.integer(0, 3);
    if (kind === 0) return { gradient: this.floats(device, length), overflow: device.ints(1) };
    return { ...this.sum(device, length), begin: kind === 1 };
  }

  /** A gradient to read: values of a sum, or floats. */
  gradient(device: Device, length: number): Int64s | Floats {
    const values = this.values(length);
    if (this.chance()) return floatsOf(device, values);
    return int64sOf(
      device,
      Array.from(values, (value) => BigInt(Math.round(value * 2 ** 50))),
    );
  }

  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(0, i + 1);
      [items[i], items[j]] = [items[j]!, items[i]!];
    }
    return items;
  }
}
