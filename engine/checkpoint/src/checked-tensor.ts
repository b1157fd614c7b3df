import type { Storage } from '@troupe/core';
import type { Hasher, HashStream } from './hasher.ts';

/** Bytes that are read, hashed and handed out at once. */
const BLOCK_BYTES = 2 ** 20;

/** Bytes of a tensor from `start` up to `end`, exclusive. */
interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Where a tensor lies, and what its bytes must hash to. */
export interface TensorBytes {
  readonly path: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly sha256: string;
}

/**
 * One tensor of a checkpoint, of which no byte is handed out that was not hashed in the very reading that brought it.
 *
 * A checkpoint names one hash a tensor, and readers want parts. The first reading goes through all of the tensor, hands out the part asked
 * for, and keeps a hash of every block; a later part is read block by block and held against those. So a bit that flips between two
 * readings is found, and nothing is held in memory but 32 bytes a block.
 *
 * What does not match is read once more before it counts as damaged: a bit may have flipped on its way from a file that is intact.
 */
export class CheckedTensor {
  readonly #storage: Storage;
  readonly #hasher: Hasher;
  readonly #tensor: TensorBytes;
  /** Hashes of the blocks of a tensor that matched, null when it is damaged; absent until somebody reads. */
  #blocks: Promise<readonly string[] | null> | undefined;

  constructor(storage: Storage, hasher: Hasher, tensor: TensorBytes) {
    this.#storage = storage;
    this.#hasher = hasher;
    this.#tensor = tensor;
  }

  /**
   * Reads all of it.
   *
   * @param also - takes the same bytes
   * @returns whether they are those that were written
   */
  async check(also: HashStream): Promise<boolean> {
    const blocks = await this.#readWhole(also, () => {});
    this.#blocks = Promise.resolve(blocks);
    return blocks !== null;
  }

  /** @returns the bytes of a range, in an array of their own; null when they are not those that were written */
  async read(range: ByteRange): Promise<Uint8Array | null> {
    const known = this.#blocks;
    const taken = new Uint8Array(range.end - range.start);
    const take = (bytes: Uint8Array, start: number): void => {
      const from = Math.max(range.start, start);
      const to = Math.min(range.end, start + bytes.byteLength);
      if (from < to) taken.set(bytes.subarray(from - start, to - start), from - range.start);
    };
    if (known === undefined) {
      const blocks = this.#readWhole(null, take).then(async (found) => found ?? this.#readWhole(null, take));
      this.#blocks = blocks;
      // A disk that fails says nothing about the bytes: the next reader tries again.
      blocks.catch(() => (this.#blocks = undefined));
      return (await blocks) === null ? null : taken;
    }
    const blocks = await known;
    if (blocks === null) return null;
    const first = Math.floor(range.start / BLOCK_BYTES);
    for (let index = first; index * BLOCK_BYTES < range.end; index++) {
      const expected = blocks[index];
      const isGood = async (): Promise<boolean> => (await this.#readBlock(index, [], take)) === expected;
      if (!(await isGood()) && !(await isGood())) return null;
    }
    return taken;
  }

  /** Reads block after block; the hashes of all, or null when the tensor is not what was written. */
  async #readWhole(
    also: HashStream | null,
    take: (bytes: Uint8Array, start: number) => void,
  ): Promise<readonly string[] | null> {
    const { lengthBytes, sha256 } = this.#tensor;
    const whole = this.#hasher.open();
    const streams = also === null ? [whole] : [whole, also];
    const blocks: string[] = [];
    for (let index = 0; index * BLOCK_BYTES < lengthBytes; index++)
      blocks.push(await this.#readBlock(index, streams, take));
    return (await this.#hasher.digest(whole)) === sha256 ? blocks : null;
  }

  async #readBlock(
    index: number,
    also: readonly HashStream[],
    take: (bytes: Uint8Array, start: number) => void,
  ): Promise<string> {
    const { path, offsetBytes, lengthBytes } = this.#tensor;
    const start = index * BLOCK_BYTES;
    const length = Math.min(BLOCK_BYTES, lengthBytes - start);
    const bytes = await this.#storage.read(path, { offset: offsetBytes + start, lengthBytes: length });
    const stream = this.#hasher.open();
    take(await this.#hasher.update([stream, ...also], bytes), start);
    return this.#hasher.digest(stream);
  }
}
