/** Elements of a part: large enough that a hundred million need a few hundred of them. */
const PART = 1 << 19;

type Integers = Uint16Array | Int32Array;

/**
 * Integers that are appended and become one array in the end.
 *
 * Kept in parts of one size, so that nothing is copied while it grows; at the end each part goes as soon as it is copied. At most twice the
 * result is in memory.
 */
export class GrowingArray<T extends Integers> {
  readonly #make: (length: number) => T;
  readonly #whole: T[] = [];
  #part: T;
  #used = 0;

  constructor(make: (length: number) => T) {
    this.#make = make;
    this.#part = make(PART);
  }

  get length(): number {
    return this.#whole.length * PART + this.#used;
  }

  push(value: number): void {
    if (this.#used === PART) this.#next();
    this.#part[this.#used++] = value;
  }

  append(values: Int32Array): void {
    for (let at = 0; at < values.length;) {
      if (this.#used === PART) this.#next();
      const count = Math.min(PART - this.#used, values.length - at);
      this.#part.set(values.subarray(at, at + count), this.#used);
      this.#used += count;
      at += count;
    }
  }

  /** Everything in one array; this is empty afterwards. */
  finish(): T {
    const all = this.#make(this.length);
    all.set(this.#part.subarray(0, this.#used), this.#whole.length * PART);
    for (let index = this.#whole.length - 1; index >= 0; index--) {
      const part = this.#whole.pop();
      if (part !== undefined) all.set(part, index * PART);
    }
    this.#part = this.#make(PART);
    this.#used = 0;
    return all;
  }

  #next(): void {
    this.#whole.push(this.#part);
    this.#part = this.#make(PART);
    this.#used = 0;
  }
}
