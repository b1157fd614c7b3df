import { assert, storagePath, type Storage } from '@troupe/core';
import { inFolder, isPartOf, partFolder, type PartOf } from './checkpoint-folders.ts';
import { keyOf, type PlannedFile, type PlannedTensor } from './file-plan.ts';
import { FileStream } from './file-stream.ts';
import { hasherFor, type Hasher } from './hasher.ts';
import type { ManifestFile, TensorGroup } from './manifest.ts';
import { bytesOf, SafetensorsWriter } from './safetensors.ts';
import type { PiecePlace, TensorPiece } from './tensor-pieces.ts';

/** What a part's folder says of itself: written last. */
export const PART_FILE = 'part.json';
/** A file of a part is written when so many bytes wait for it: what a store holds in memory. */
const FILE_BYTES = 64 * 2 ** 20;

/** A piece, and of which tensor. */
export interface PartPiece extends TensorPiece {
  readonly name: string;
  readonly group: TensorGroup;
}

/** `part.json`: the files of a part, and which piece of which tensor lies where in them. */
export interface Part {
  readonly files: readonly ManifestFile[];
  readonly pieces: readonly PartPiece[];
}

/** A part that is on the disk for good. */
export interface WrittenPart {
  /** Path of its folder in the storage. */
  readonly folder: string;
  /** Hash of `part.json`, and through it of everything. */
  readonly sha256: string;
}

interface WaitingPiece extends PlannedTensor {
  readonly place: PiecePlace;
  readonly values: Float32Array;
}

/**
 * Writes the part of a checkpoint that one machine has: pieces of tensors, in the order in which they come.
 *
 * A file's header says what is in it and comes first, so pieces wait until there are enough for a file.
 */
export class PartWriter {
  readonly #storage: Storage;
  readonly #of: PartOf;
  readonly #folder: string;
  readonly #path: string;
  readonly #hasher: Hasher;
  readonly #ownsHasher: boolean;
  readonly #fileBytes: number;
  readonly #files: ManifestFile[] = [];
  readonly #pieces: PartPiece[] = [];
  #waiting: WaitingPiece[] = [];
  #waitingBytes = 0;
  #work: Promise<void> = Promise.resolve();

  /** Use {@link beginPart}. */
  constructor(storage: Storage, folder: string, of: PartOf, options: PartOptions) {
    this.#storage = storage;
    this.#of = of;
    this.#folder = storagePath(folder);
    this.#path = inFolder(this.#folder, partFolder(of));
    this.#fileBytes = options.fileBytes ?? FILE_BYTES;
    this.#ownsHasher = options.hasher === undefined;
    this.#hasher = options.hasher ?? hasherFor(this.#fileBytes);
  }

  /** Removes what this machine's store left, and nothing of another one's; makes the folder. */
  async open(): Promise<void> {
    await this.#storage.makeFolder(this.#folder);
    for (const name of await this.#storage.list(this.#folder))
      if (isPartOf(name, this.#of.machine)) await this.#storage.remove(inFolder(this.#folder, name));
    await this.#storage.makeFolder(this.#path);
  }

  /** Takes a piece, whose values are copied before this returns. The promise is the brake. */
  put(name: string, group: TensorGroup, place: PiecePlace, values: Float32Array): Promise<void> {
    if (values.length === 0) return this.#work;
    const key = `${keyOf({ name, group })}@${place.offset}`;
    const tensor = { name, group, key, dtype: 'f32', shape: [values.length], size: values.length } as const;
    this.#waiting.push({ ...tensor, place, values: values.slice() });
    this.#waitingBytes += values.byteLength;
    if (this.#waitingBytes >= this.#fileBytes) this.#writeFile();
    return this.#work;
  }

  /** Writes what waits and `part.json`; then all of it lasts. */
  async finish(): Promise<WrittenPart> {
    if (this.#waiting.length > 0) this.#writeFile();
    await this.#work;
    const part: Part = { files: this.#files, pieces: this.#pieces };
    const bytes = new TextEncoder().encode(JSON.stringify(part));
    const stream = this.#hasher.open();
    await this.#hasher.update([stream], bytes.slice());
    const sha256 = await this.#hasher.digest(stream);
    await this.#storage.writeAtomic(inFolder(this.#path, PART_FILE), bytes);
    await this.#storage.syncFolder(this.#path);
    await this.#storage.syncFolder(this.#folder);
    await this.#close();
    return { folder: this.#path, sha256 };
  }

  /** Removes what was written. */
  async abort(): Promise<void> {
    await this.#work.catch(() => undefined);
    this.#waiting = [];
    await this.#storage.remove(this.#path);
    await this.#close();
  }

  #writeFile(): void {
    const pieces = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#work = this.#work.then(() => this.#write(pieces));
    // Whoever finishes hears of it.
    this.#work.catch(() => undefined);
  }

  async #write(pieces: readonly WaitingPiece[]): Promise<void> {
    const number = String(this.#files.length + 1).padStart(5, '0');
    const file: PlannedFile = { name: `part-m${this.#of.machine}-${number}.safetensors`, tensors: pieces };
    const header = pieces.map(({ key, shape }) => ({ name: key, shape, dtype: 'F32' as const }));
    const path = inFolder(this.#path, file.name);
    const writer = await SafetensorsWriter.create(this.#storage, path, header, { format: 'pt' });
    const stream = new FileStream(file, writer, this.#hasher);
    try {
      for (const { key, values } of pieces) await stream.add(key, 0, bytesOf(values));
      this.#files.push(await stream.finish());
    } catch (error) {
      await stream.abort();
      throw error;
    }
    for (const { name, group, key, place, size } of pieces) {
      const sha256 = stream.sha256s.get(key);
      assert(sha256 !== undefined, 'a finished file has hashed its tensors', { key });
      this.#pieces.push({ name, group, file: file.name, key, ...placeOf(place), length: size, sha256 });
    }
  }

  async #close(): Promise<void> {
    if (this.#ownsHasher) await this.#hasher.close();
  }
}

/** Without what else an object may hold. */
const placeOf = ({ offset, rowLength, rowStride }: PiecePlace): PiecePlace =>
  rowLength === undefined || rowStride === undefined ? { offset } : { offset, rowLength, rowStride };

interface PartOptions {
  /** Default: of the writer, ended with it. */
  readonly hasher?: Hasher;
  /** Bytes that wait for a file. */
  readonly fileBytes?: number;
}

/** Begins the part of a machine under `folder`; what its store left there of earlier ones is removed. */
export async function beginPart(
  storage: Storage,
  folder: string,
  of: PartOf,
  options: PartOptions = {},
): Promise<PartWriter> {
  const writer = new PartWriter(storage, folder, of, options);
  await writer.open();
  return writer;
}
