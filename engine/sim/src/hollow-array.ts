import type { HostArray } from '@troupe/core';
import type { DeviceArray, ElementType } from '@troupe/kernel-set';

/** Bytes of an element of each type. */
const elementBytes = { f32: 4, bf16: 2, i32: 4, i64: 8, u8: 1 } as const satisfies Readonly<
  Record<ElementType, number>
>;

/** What an array and all views of it have in common: contents, where somebody gave it some. */
interface Contents {
  /** By where they begin. */
  readonly parts: Map<number, Int32Array>;
}

/** Memory of a device as far as a length goes: it takes no bytes, however long it is. */
export class HollowArray {
  readonly element: ElementType;
  readonly length: number;
  readonly BYTES_PER_ELEMENT: number;
  readonly #from: number;
  readonly #contents: Contents;

  constructor(element: ElementType, length: number, from = 0, contents: Contents = { parts: new Map() }) {
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
    this.#contents.parts.set(this.#from, values);
  }

  /** What it holds; null: nothing. */
  get held(): Int32Array | null {
    const { parts } = this.#contents;
    if (parts.size === 0) return null;
    for (const [from, values] of parts) {
      const first = this.#from - from;
      if (first >= 0 && first + this.length <= values.length)
        return values.subarray(first, first + this.length);
    }
    return null;
  }
}

/** The hollow array that a device array is on such a device; null: one with contents, such as a frame that was uploaded. */
export const hollow = (array: DeviceArray | HostArray): HollowArray | null =>
  (array as unknown) instanceof HollowArray ? (array as unknown as HollowArray) : null;
