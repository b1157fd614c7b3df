/**
 * Lists whose arrays all lie in shared memory. Arrays that a caller got elsewhere (a received frame, a literal) are
 * copied into shared memory for the time of their list, and what the list writes is copied back.
 */
import type { HostArray } from '@troupe/core';
import type { KernelCall, OnHost } from '@troupe/kernel-set';
import { writtenArguments } from './written-arguments.ts';

/** Views of one private buffer among a list's arguments: bytes [first, end) cover them all. */
interface PrivateBuffer {
  first: number;
  end: number;
  shared: SharedArrayBuffer | null;
}

interface WrittenView {
  readonly own: HostArray;
  readonly shared: HostArray;
}

/** A list under way to shared memory. `prepare` must be called when no earlier list can still write its arrays. */
export class SharedList {
  /** Private buffers that the list reads or writes … */
  readonly touched = new Map<ArrayBufferLike, PrivateBuffer>();
  /** … and those that it writes. */
  readonly written = new Set<ArrayBufferLike>();
  readonly #calls: readonly OnHost<KernelCall>[];
  readonly #results: WrittenView[] = [];

  constructor(calls: readonly OnHost<KernelCall>[]) {
    this.#calls = calls;
    for (const call of calls) this.#look(call, outputsOf(call), false);
  }

  /** The calls with every array in shared memory; copies the private ones now. */
  prepare(): readonly OnHost<KernelCall>[] {
    if (this.touched.size === 0) return this.#calls;
    return this.#calls.map((call) => this.#share(call, outputsOf(call), false) as OnHost<KernelCall>);
  }

  /** Brings what the list wrote back to the caller's own arrays. */
  finish(): void {
    for (const { own, shared } of this.#results) bytesOf(own).set(bytesOf(shared));
    this.#results.length = 0;
  }

  /** Finds private arrays; the bytes of one buffer are copied as one, since views may overlap. */
  #look(value: unknown, outputs: readonly string[], isOutput: boolean): void {
    if (typeof value !== 'object' || value === null) return;
    if (ArrayBuffer.isView(value)) {
      if (value.buffer instanceof SharedArrayBuffer) return;
      const end = value.byteOffset + value.byteLength;
      // Elements of eight bytes stay aligned to eight.
      const first = value.byteOffset - (value.byteOffset % 8);
      const known = this.touched.get(value.buffer);
      if (known === undefined) this.touched.set(value.buffer, { first, end, shared: null });
      else {
        known.first = Math.min(known.first, first);
        known.end = Math.max(known.end, end);
      }
      if (isOutput) this.written.add(value.buffer);
      return;
    }
    for (const [name, inner] of Object.entries(value))
      this.#look(inner, outputs, isOutput || outputs.includes(name));
  }

  #share(value: unknown, outputs: readonly string[], isOutput: boolean): unknown {
    if (typeof value !== 'object' || value === null) return value;
    if (ArrayBuffer.isView(value))
      return value.buffer instanceof SharedArrayBuffer
        ? value
        : this.#shareView(value as HostArray, isOutput);
    if (Array.isArray(value)) return value.map((inner: unknown) => this.#share(inner, outputs, isOutput));
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [
        name,
        this.#share(inner, outputs, isOutput || outputs.includes(name)),
      ]),
    );
  }

  #shareView(own: HostArray, isOutput: boolean): HostArray {
    const range = this.touched.get(own.buffer)!;
    if (range.shared === null) {
      range.shared = new SharedArrayBuffer(range.end - range.first);
      const bytes = new Uint8Array(own.buffer, range.first, range.end - range.first);
      new Uint8Array(range.shared).set(bytes);
    }
    const View = own.constructor as new (buffer: SharedArrayBuffer, at: number, length: number) => HostArray;
    const shared = new View(range.shared, own.byteOffset - range.first, own.length);
    if (isOutput) this.#results.push({ own, shared });
    return shared;
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: HostArray): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

function outputsOf(call: OnHost<KernelCall> | null | undefined): readonly string[] {
  const op: unknown = call?.op;
  return typeof op === 'string' && Object.hasOwn(writtenArguments, op)
    ? writtenArguments[op as KernelCall['op']]
    : [];
}
