import { assert } from '@troupe/core';
import type { PlannedFile, PlannedTensor } from './file-plan.ts';
import type { Hasher, HashStream } from './hasher.ts';
import type { ManifestFile } from './manifest.ts';
import type { SafetensorsWriter } from './safetensors.ts';

/**
 * Brings pieces that come in any order into a file that is written front to back, and hashes file and tensors on
 * the way. A piece waits in memory until everything before it is there.
 */
export class FileStream {
  readonly name: string;
  /** SHA-256 of each tensor that is complete, by key. */
  readonly sha256s = new Map<string, string>();
  readonly #writer: SafetensorsWriter;
  readonly #hasher: Hasher;
  readonly #tensors: readonly PlannedTensor[];
  readonly #waiting = new Map<number, Uint8Array>();
  readonly #fileHash: HashStream;
  #headerSha256 = '';
  #current: { readonly tensor: PlannedTensor; readonly hash: HashStream; readonly endBytes: number } | null =
    null;
  #numDone = 0;
  #heldBytes = 0;
  #work: Promise<void>;

  constructor(file: PlannedFile, writer: SafetensorsWriter, hasher: Hasher) {
    this.name = file.name;
    this.#tensors = file.tensors;
    this.#writer = writer;
    this.#hasher = hasher;
    this.#fileHash = hasher.open();
    this.#work = this.#hashHeader();
    this.#work.catch(() => undefined);
  }

  /** Bytes that wait for what comes before them. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Takes bytes of one tensor and writes what is next in line.
   *
   * @param bytes - owned by the stream from now on
   * @param offsetBytes - inside the tensor
   */
  add(key: string, offsetBytes: number, bytes: Uint8Array): Promise<void> {
    const place = this.#writer.header.tensors.get(key);
    assert(place !== undefined, 'a piece belongs to a tensor of its file', { key });
    this.#waiting.set(place.offsetBytes + offsetBytes, bytes);
    this.#heldBytes += bytes.byteLength;
    this.#work = this.#work.then(() => this.#drain());
    return this.#work;
  }

  /** Commits the file, once every piece is in. */
  async finish(): Promise<ManifestFile> {
    this.#work = this.#work.then(() => this.#drain());
    await this.#work;
    await this.#writer.commit();
    const { fileBytes, headerBytes } = this.#writer.header;
    const sha256 = await this.#hasher.digest(this.#fileHash);
    const header = { sizeBytes: headerBytes, sha256: this.#headerSha256 };
    return { name: this.name, sizeBytes: fileBytes, sha256, header };
  }

  async abort(): Promise<void> {
    await this.#work.catch(() => undefined);
    this.#waiting.clear();
    this.#heldBytes = 0;
    await this.#writer.abort();
  }

  async #hashHeader(): Promise<void> {
    const hash = this.#hasher.open();
    await this.#hasher.update([this.#fileHash, hash], this.#writer.headerBytes.slice());
    this.#headerSha256 = await this.#hasher.digest(hash);
  }

  async #drain(): Promise<void> {
    await this.#step();
    for (;;) {
      const { position } = this.#writer;
      const bytes = this.#waiting.get(position);
      const current = this.#current;
      if (bytes === undefined || current === null) return;
      this.#waiting.delete(position);
      const { byteLength } = bytes;
      await this.#writer.append(bytes);
      this.#heldBytes -= byteLength;
      await this.#hasher.update([this.#fileHash, current.hash], bytes);
      await this.#step();
    }
  }

  /** Ends the tensors that the position has passed and begins the one it is in. */
  async #step(): Promise<void> {
    for (;;) {
      if (this.#current !== null) {
        if (this.#writer.position < this.#current.endBytes) return;
        this.sha256s.set(this.#current.tensor.key, await this.#hasher.digest(this.#current.hash));
        this.#current = null;
        this.#numDone += 1;
      }
      const tensor = this.#tensors[this.#numDone];
      if (tensor === undefined) return;
      this.#current = {
        tensor,
        hash: this.#hasher.open(),
        endBytes: this.#writer.position + 4 * tensor.size,
      };
    }
  }
}
