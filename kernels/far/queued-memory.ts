import type { HostArray } from '@troupe/core';

/** The memory that queued lists name: until they have completed, nobody else writes there. */
export class QueuedMemory {
  readonly #lists = new Set<readonly HostArray[]>();

  /** @returns says that the list has completed */
  add(named: readonly HostArray[]): () => void {
    this.#lists.add(named);
    return () => this.#lists.delete(named);
  }

  holds(array: HostArray): boolean {
    for (const list of this.#lists) if (list.some((named) => overlap(named, array))) return true;
    return false;
  }
}

const overlap = (a: HostArray, b: HostArray): boolean =>
  a.buffer === b.buffer &&
  a.byteOffset < b.byteOffset + b.byteLength &&
  b.byteOffset < a.byteOffset + a.byteLength;
