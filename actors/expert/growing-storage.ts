import type { Floats, Halves } from '@troupe/kernel-set';

/** Storage that is kept from step to step and grows by a quarter when rows do not fit. */
export class GrowingStorage<A extends Floats | Halves> {
  #data: A | null = null;
  readonly #allocate: (length: number) => A;

  constructor(allocate: (length: number) => A) {
    this.#allocate = allocate;
  }

  take(length: number): A {
    if (this.#data === null || this.#data.length < length)
      this.#data = this.#allocate(Math.ceil(length * 1.25));
    return this.#data.subarray(0, length) as A;
  }
}
