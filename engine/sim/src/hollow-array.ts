import type { HostArray } from '@troupe/core';
import type { DeviceArray, ElementType } from '@troupe/kernel-set';

/** Bytes of an element of each type. */
const elementBytes = { f32: 4, bf16: 2, i32: 4, i64: 8, u8: 1 } as const satisfies Readonly<
  Record<ElementType, number>
>;

/** What an array and all views of it have in common: contents, where somebody gave it some. */
interface Contents {
  values: Int32Array | null;
}

/** Memory of a device as far as a length goes: it takes no bytes, however long it is. */
export class HollowArray {
  readonly element: ElementType;
  readonly length: number;
  readonly BYTES_PER_ELEMENT: number;
  readonly #from: number;
  readonly #contents: Contents;

  constructor(element: ElementType, length: number, from = 0, contents: Contents = { values: null }) {
    this.element = element;
    this.length = length;
    this.BYTES_PER_ELEMENT = elementBytes[element];
    this.#from = from;
    this.#contents = contents;
  }

  get byteLength(): number {
    return this.length * this.BYTES_PER_ELEMENT;
  }

  subarray(from = 0, to = this.length): HollowArray {
    const [first, end] = [Math.min(from, this.length), Math.min(to, this.length)];
    return new HollowArray(this.element, Math.max(0, end - first), this.#from + first, this.#contents);
  }

  /** Integers that this array and its views hold from now on; they are shared, and not changed. */
  hold(values: Int32Array): void {
    this.#contents.values = values;
  }

  /** What it holds; null: nothing. */
  get held(): Int32Array | null {
    return this.#contents.values?.subarray(this.#from, this.#from + this.length) ?? null;
  }
}

/** The hollow array that a device array is on such a device; null: one with contents, such as a frame that was uploaded. */
export const hollow = (array: DeviceArray | HostArray): HollowArray | null =>
  (array as unknown) instanceof HollowArray ? (array as unknown as HollowArray) : null;
