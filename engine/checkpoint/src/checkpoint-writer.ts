import { assert, parentFolder, storagePath, type Storage } from '@troupe/core';
import { folderSuffix, inFolder, isLeftover, stepFolder } from './checkpoint-folders.ts';
import { CheckpointPiecesError } from './errors.ts';
import {
  FILE_BYTES_MAX,
  planFiles,
  type CheckpointTensor,
  type PlannedFile,
  type PlannedTensor,
} from './file-plan.ts';
import { FileStream } from './file-stream.ts';
import { hasherFor, type Hasher } from './hasher.ts';
import {
  encodeManifest,
  FORMAT_VERSION,
  MANIFEST_FILE,
  TOKENIZER_FILE,
  tensorId,
  type ManifestBase,
  type ManifestFile,
  type ManifestTensor,
  type TensorGroup,
} from './manifest.ts';
import { publishFolder, writeSideFile, type WrittenCheckpoint } from './publish-folder.ts';
import { bytesOf, SafetensorsWriter } from './safetensors.ts';
import { tensorPlace } from './tensor-place.ts';
import { Tiling } from './tiling.ts';
import { weightIndex } from './weight-index.ts';

export interface CheckpointOptions {
  /** Bytes of `tokenizer.json`; absent: the checkpoint has none. */
  readonly tokenizer?: Uint8Array;
  /** Largest file, in bytes; default FILE_BYTES_MAX. A tensor that is larger has a file of its own. */
  readonly maxFileBytes?: number;
  /** Default: by the checkpoint's size (`hasherFor`), ended with it. One that is given stays the caller's. */
  readonly hasher?: Hasher;
}

interface TensorInProgress {
  readonly tensor: PlannedTensor;
  readonly stream: FileStream;
  readonly tiling: Tiling;
}

/**
 * Writes one checkpoint. Nothing is seen under its final name before all of it is on the disk.
 *
 * One writer at a time per folder.
 */
export class CheckpointWriter {
  readonly #storage: Storage;
  readonly #folder: string;
  readonly #base: ManifestBase;
  readonly #options: CheckpointOptions;
  readonly #hasher: Hasher;
  readonly #plan: readonly PlannedFile[];
  readonly #streams: FileStream[] = [];
  readonly #tensors = new Map<string, TensorInProgress>();
  #state: 'open' | 'finishing' | 'closed' = 'open';

  /** Use {@link beginCheckpoint}. */
  constructor(
    storage: Storage,
    folder: string,
    base: ManifestBase,
    layout: readonly CheckpointTensor[],
    options: CheckpointOptions,
  ) {
    this.#storage = storage;
    this.#folder = storagePath(folder);
    this.#base = base;
    this.#options = options;
    this.#plan = planFiles(layout, options.maxFileBytes ?? FILE_BYTES_MAX);
    const elements = this.#plan.flatMap(({ tensors }) => tensors).reduce((sum, { size }) => sum + size, 0);
    this.#hasher = options.hasher ?? hasherFor(elements * Float32Array.BYTES_PER_ELEMENT);
  }

  /** Bytes of pieces that wait in memory for earlier ones; 0 when pieces come in the order of the files. */
  get heldBytes(): number {
    return this.#streams.reduce((sum, stream) => sum + stream.heldBytes, 0);
  }

  /** Every tensor in the order of the files: in which pieces need no memory to wait in. */
  get order(): readonly CheckpointTensor[] {
    return this.#plan.flatMap(({ tensors }) => tensors);
  }

  /** Clears what a crash left, makes the folder and opens the files. */
  async open(): Promise<void> {
    const storage = this.#storage;
    await storage.makeFolder(this.#folder);
    for (let at = this.#folder; at !== ''; at = parentFolder(at)) await storage.syncFolder(parentFolder(at));
    for (const name of await storage.list(this.#folder)) {
      if (isLeftover(name)) await storage.remove(inFolder(this.#folder, name));
    }
    await storage.makeFolder(this.#partial);
    for (const file of this.#plan) {
      const header = file.tensors.map(({ key, shape }) => ({ name: key, shape, dtype: 'F32' as const }));
      const path = inFolder(this.#partial, file.name);
      const writer = await SafetensorsWriter.create(storage, path, header, { format: 'pt' });
      const stream = new FileStream(file, writer, this.#hasher);
      this.#streams.push(stream);
      for (const tensor of file.tensors) {
        this.#tensors.set(tensorId(tensor.name, tensor.group), {
          tensor,
          stream,
          tiling: new Tiling(tensor.size),
        });
      }
    }
  }

  /**
   * Takes a slice of a tensor; slices come in any order and tile each tensor exactly.
   *
   * The values are copied before this returns; the promise ends when all that is next in line has been written, so
   * awaiting it is the brake. After an error the only way on is `abort`.
   *
   * @param elementOffset - first element inside the tensor
   * @throws {CheckpointPiecesError} TROUPE_CHECKPOINT_PIECES for an unknown tensor, an overlap or a slice past the end
   * @throws {TroupeError} what the storage throws, TROUPE_STORAGE_FULL among it
   */
  async put(name: string, group: TensorGroup, elementOffset: number, values: Float32Array): Promise<void> {
    assert(this.#state === 'open', 'pieces come before finish and abort', { tensor: name });
    const entry = this.#tensors.get(tensorId(name, group));
    if (entry === undefined) throw pieceError(name, group, 'is not in the layout of this checkpoint');
    const { tensor, stream, tiling } = entry;
    const end = elementOffset + values.length;
    const range = `[${elementOffset}, ${end})`;
    if (!Number.isSafeInteger(elementOffset) || elementOffset < 0 || end > tensor.size) {
      throw pieceError(name, group, `has ${tensor.size} elements, the piece is ${range}`);
    }
    if (values.length === 0) return;
    if (!tiling.add(elementOffset, end)) throw pieceError(name, group, `has elements of ${range} already`);
    await stream.add(tensor.key, 4 * elementOffset, bytesOf(values).slice());
  }

  /**
   * Ends the files, writes the manifest last and renames the folder into its place. When it fails, everything that
   * was written is removed and the checkpoints before are as they were.
   *
   * @throws {CheckpointPiecesError} TROUPE_CHECKPOINT_PIECES naming what no piece covered
   * @throws {TroupeError} what the storage throws, TROUPE_STORAGE_FULL among it
   */
  async finish(): Promise<WrittenCheckpoint> {
    assert(this.#state === 'open', 'a checkpoint is finished once');
    this.#state = 'finishing';
    try {
      this.#mustBeComplete();
      const files: ManifestFile[] = [];
      for (const stream of this.#streams) files.push(await stream.finish());
      for (const [name, bytes] of this.#sideFiles())
        files.push(await writeSideFile(this.#storage, this.#partial, { name, bytes }, this.#hasher));
      const { bytes, sha256 } = await encodeManifest(
        {
          format: 'troupe-checkpoint',
          formatVersion: FORMAT_VERSION,
          ...this.#base,
          parents: this.#base.parents ?? [],
          files,
          tensors: this.#manifestTensors(),
        },
        this.#hasher,
      );
      await this.#storage.writeAtomic(inFolder(this.#partial, MANIFEST_FILE), bytes);
      await this.#storage.syncFolder(this.#partial);
      await publishFolder(this.#storage, this.#folder, this.#base.step);
      const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, bytes.byteLength);
      await this.#close();
      return { folder: this.#final, step: this.#base.step, sizeBytes, sha256 };
    } catch (error) {
      await this.#removeAll();
      throw error;
    }
  }

  /** Removes everything that was written; does nothing after `finish`. */
  async abort(): Promise<void> {
    if (this.#state === 'open') await this.#removeAll();
  }

  get #final(): string {
    return inFolder(this.#folder, stepFolder(this.#base.step));
  }

  get #partial(): string {
    return this.#final + folderSuffix.partial;
  }

  #mustBeComplete(): void {
    const gaps: string[] = [];
    for (const { tensor, tiling } of this.#tensors.values()) {
      const { gap } = tiling;
      if (gap !== null) gaps.push(`'${tensor.name}' (${tensor.group}) from ${gap.start} to ${gap.end}`);
    }
    if (gaps.length === 0) return;
    const rest = gaps.length > 8 ? ` and ${gaps.length - 8} more` : '';
    throw new CheckpointPiecesError(`no piece covered ${gaps.slice(0, 8).join(', ')}${rest}`, { gaps });
  }

  #manifestTensors(): readonly ManifestTensor[] {
    return [...this.#tensors.values()].map(({ tensor, stream }) => {
      const { name, group, key, shape, dtype } = tensor;
      const sha256 = stream.sha256s.get(key);
      assert(sha256 !== undefined, 'a finished file has hashed its tensors', { key });
      return { name, group, file: stream.name, key, shape, dtype, sha256, ...tensorPlace(name) };
    });
  }

  /** The tokenizer, and the index by which other programs find weights in several files. */
  #sideFiles(): readonly (readonly [string, Uint8Array])[] {
    const { tokenizer } = this.#options;
    const weights = this.#plan.filter((file) => file.tensors[0]?.group === 'weights');
    const sides: [string, Uint8Array][] = tokenizer === undefined ? [] : [[TOKENIZER_FILE, tokenizer]];
    if (weights.length > 1) {
      sides.push(['weights.safetensors.index.json', weightIndex(weights)]);
    }
    return sides;
  }

  async #removeAll(): Promise<void> {
    this.#state = 'finishing';
    try {
      for (const stream of this.#streams) await stream.abort();
      await this.#storage.remove(this.#partial);
    } finally {
      await this.#close();
    }
  }

  async #close(): Promise<void> {
    this.#state = 'closed';
    if (this.#options.hasher === undefined) await this.#hasher.close();
  }
}

const pieceError = (name: string, group: TensorGroup, problem: string): CheckpointPiecesError =>
  new CheckpointPiecesError(`tensor '${name}' (${group}) ${problem}`, { tensor: name, group });

/**
 * Begins a checkpoint under `folder`/step-NNNNNN; what an interrupted one left there is removed.
 *
 * @param folder - holds all checkpoints of a run; made when it is missing
 * @param layout - every tensor that the checkpoint is to hold
 * @throws {CheckpointPiecesError} TROUPE_CHECKPOINT_PIECES for a layout that names a tensor twice
 * @throws {TroupeError} what the storage throws
 */
export async function beginCheckpoint(
  storage: Storage,
  folder: string,
  base: ManifestBase,
  layout: readonly CheckpointTensor[],
  options: CheckpointOptions = {},
): Promise<CheckpointWriter> {
  const writer = new CheckpointWriter(storage, folder, base, layout, options);
  try {
    await writer.open();
  } catch (error) {
    await writer.abort();
    throw error;
  }
  return writer;
}
