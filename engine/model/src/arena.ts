import type { Device, Floats, Halves, Int64s, Ints, Precision } from '@troupe/kernel-set';
import { RankShares } from './rank-shares.ts';

/** Allocates and counts. */
export class Arena {
  bytes = 0;
  readonly #device: Device;

  constructor(device: Device) {
    this.#device = device;
  }

  floats(length: number): Floats {
    this.bytes += length * (this.#device.info.dtype === 'f64' ? 8 : 4);
    return this.#device.floats(length);
  }

  /** Storage in the precision of the products. */
  operands(length: number, precision: Precision | undefined): Floats | Halves {
    if (precision !== 'bf16') return this.floats(length);
    this.bytes += length * 2;
    return this.#device.halves(length);
  }

  ints(length: number): Ints {
    this.bytes += length * 4;
    return this.#device.ints(length);
  }

  int64s(length: number): Int64s {
    this.bytes += length * 8;
    return this.#device.int64s(length);
  }

  shares(ranks: number): RankShares {
    return new RankShares(this.#device, this.ints(ranks), this.ints(ranks));
  }
}
