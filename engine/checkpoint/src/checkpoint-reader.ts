import { assert, storagePath, type Storage } from '@troupe/core';
import { CheckedTensor } from './checked-tensor.ts';
import { inFolder } from './checkpoint-folders.ts';
import {
  CheckpointDamagedError,
  CheckpointFormatError,
  CheckpointMismatchError,
  CheckpointMissingError,
} from './errors.ts';
import { hasherFor, inlineHasher, type Hasher } from './hasher.ts';
import {
  decodeManifest,
  MANIFEST_FILE,
  tensorGroups,
  tensorId,
  TOKENIZER_FILE,
  type Manifest,
  type ManifestFile,
  type ManifestTensor,
  type TensorGroup,
} from './manifest.ts';
import type { CheckpointTensor } from './file-plan.ts';
import { headerJsonBytes, numElements, parseHeader, type SafetensorsHeader } from './safetensors-header.ts';
import { floatsOf } from './safetensors.ts';
import {
  piecesWithin,
  storedByFile,
  storedId,
  type FoundPiece,
  type StoredTensor,
} from './stored-tensors.ts';

/** Bytes that are read at once while hashing. */
const CHUNK_BYTES = 8 * 2 ** 20;

export interface OpenOptions {
  /**
   * `full` (default) hashes every byte before anything is handed out, so that damage is known before anybody begins to load; `lazy` hashes
   * headers now and a tensor when it is first read, which is enough for a process that loads only its share. What is handed out is hashed
   * on its way with either.
   */
  readonly verify?: 'full' | 'lazy';
  /** Default: by the checkpoint's size (`hasherFor`), ended by `close`. One that is given stays the caller's. */
  readonly hasher?: Hasher;
}

/** A checkpoint whose manifest, files, sizes and headers have been found intact. */
export class CheckpointReader {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly #storage: Storage;
  readonly #hasher: Hasher;
  readonly #ownsHasher: boolean;
  readonly #headers: ReadonlyMap<string, SafetensorsHeader>;
  readonly #tensors: ReadonlyMap<string, ManifestTensor>;
  /** What lies in the files, by file. */
  readonly #stored: ReadonlyMap<string, readonly StoredTensor[]>;
  /** Readers of their bytes, by file and key. */
  readonly #bytes: ReadonlyMap<string, CheckedTensor>;

  /** Use {@link openCheckpoint}. */
  constructor(
    storage: Storage,
    folder: string,
    contents: { readonly manifest: Manifest; readonly headers: ReadonlyMap<string, SafetensorsHeader> },
    hasher: { readonly hasher: Hasher; readonly isOwn: boolean },
  ) {
    this.folder = folder;
    this.manifest = contents.manifest;
    this.#storage = storage;
    this.#hasher = hasher.hasher;
    this.#ownsHasher = hasher.isOwn;
    this.#headers = contents.headers;
    this.#tensors = new Map(contents.manifest.tensors.map((each) => [tensorId(each.name, each.group), each]));
    this.#stored = storedByFile(contents.manifest);
    this.#bytes = new Map(
      [...this.#stored.values()].flat().map(({ id, file, key, sha256 }) => {
        const tensor = { path: inFolder(folder, file), sha256, ...this.#place({ file, key }) };
        return [id, new CheckedTensor(storage, hasher.hasher, tensor)];
      }),
    );
  }

  /**
   * Reads elements of a tensor, float32 bit for bit.
   *
   * @param elementOffset - first element, default 0
   * @param length - elements, default up to the end of the tensor
   * @throws {CheckpointMismatchError} TROUPE_CHECKPOINT_MISMATCH when the checkpoint has no such tensor
   * @throws {CheckpointDamagedError} TROUPE_CHECKPOINT_DAMAGED when the tensor's hash does not match
   */
  async read(name: string, group: TensorGroup, elementOffset = 0, length?: number): Promise<Float32Array> {
    const tensor = this.#tensors.get(tensorId(name, group));
    if (tensor === undefined) {
      throw new CheckpointMismatchError(this.folder, [`tensor '${name}' (${group}) is missing`]);
    }
    const size = numElements(tensor.shape);
    const count = length ?? size - elementOffset;
    assert(
      elementOffset >= 0 && count >= 0 && elementOffset + count <= size,
      'a range lies inside its tensor',
      {
        tensor: name,
        elementOffset,
        length: count,
        size,
      },
    );
    const end = elementOffset + count;
    const [first, ...others] = piecesWithin(tensor, elementOffset, end);
    if (first !== undefined && others.length === 0 && first.runs.length === 1)
      return await this.#read(tensor, first);
    const values = new Float32Array(count);
    for (const found of first === undefined ? [] : [first, ...others]) {
      const floats = await this.#read(tensor, found);
      for (const run of found.runs) {
        const at = run.from - found.from;
        values.set(floats.subarray(at, at + run.end - run.start), run.start - elementOffset);
      }
    }
    return values;
  }

  /** Bytes of `tokenizer.json`, or null when the checkpoint has none. */
  async tokenizer(): Promise<Uint8Array | null> {
    const file = this.manifest.files.find((each) => each.name === TOKENIZER_FILE);
    if (file === undefined) return null;
    const bytes = await this.#storage.read(inFolder(this.folder, file.name));
    const sha256 = await this.#sha256(bytes.slice());
    if (sha256 !== file.sha256) throw damagedParts(this.folder, [`file '${file.name}'`]);
    return bytes;
  }

  /**
   * Hashes every byte of every file.
   *
   * @throws {CheckpointDamagedError} TROUPE_CHECKPOINT_DAMAGED naming every damaged tensor, or the file where no tensor is at fault
   */
  async verify(): Promise<void> {
    const parts: string[] = [];
    for (const file of this.manifest.files) parts.push(...(await this.#damagedPartsOf(file)));
    if (parts.length > 0) throw damagedParts(this.folder, parts);
  }

  /**
   * Compares the checkpoint with the tensors that it should have: a model's parameters, and what an optimizer keeps of them.
   *
   * @throws {CheckpointMismatchError} TROUPE_CHECKPOINT_MISMATCH naming every missing, extra, duplicate and misshapen tensor
   */
  expectTensors(
    tensors: readonly Pick<CheckpointTensor, 'name' | 'shape' | 'group'>[],
    groups: readonly TensorGroup[] = tensorGroups,
  ): void {
    const problems: string[] = [];
    const expected = new Set<string>();
    for (const wanted of groups) {
      for (const { name, shape, group } of tensors.filter((each) => each.group === wanted)) {
        const id = tensorId(name, group);
        const found = this.#tensors.get(id);
        if (expected.has(id)) problems.push(`tensor '${name}' (${group}) is asked for twice`);
        else if (found === undefined) problems.push(`tensor '${name}' (${group}) is missing`);
        else if (String(found.shape) !== String(shape)) {
          const shapes = `has shape [${found.shape.join(', ')}], the model [${shape.join(', ')}]`;
          problems.push(`tensor '${name}' (${group}) ${shapes}`);
        }
        expected.add(id);
      }
    }
    for (const [id, { name, group }] of this.#tensors) {
      if (groups.includes(group) && !expected.has(id)) problems.push(`tensor '${name}' (${group}) is extra`);
    }
    if (problems.length > 0) throw new CheckpointMismatchError(this.folder, problems);
  }

  /** The same of weights alone. @throws {CheckpointMismatchError} TROUPE_CHECKPOINT_MISMATCH */
  expectParameters(
    parameters: readonly { readonly name: string; readonly shape: readonly number[] }[],
  ): void {
    this.expectTensors(
      parameters.map(({ name, shape }) => ({ name, shape, group: 'weights' })),
      ['weights'],
    );
  }

  /** Ends the hashing thread, if it is the reader's own. */
  async close(): Promise<void> {
    if (this.#ownsHasher) await this.#hasher.close();
  }

  /** What was found of one piece, or of a tensor that lies in one. */
  async #read(tensor: ManifestTensor, { file, key, from, to }: FoundPiece): Promise<Float32Array> {
    const bytes = await this.#bytesOf(file, key).read({ start: 4 * from, end: 4 * to });
    if (bytes === null) throw damagedParts(this.folder, [describe({ ...tensor, file })]);
    return floatsOf(bytes);
  }

  #place({ file, key }: Pick<StoredTensor, 'file' | 'key'>): {
    readonly offsetBytes: number;
    readonly lengthBytes: number;
  } {
    const place = this.#headers.get(file)?.tensors.get(key);
    assert(place !== undefined, 'an open checkpoint has all tensors of its manifest', { key });
    const { offsetBytes, lengthBytes } = place;
    return { offsetBytes, lengthBytes };
  }

  #bytesOf(file: string, key: string): CheckedTensor {
    const bytes = this.#bytes.get(storedId(file, key));
    assert(bytes !== undefined, 'every tensor of a manifest has its bytes', { key });
    return bytes;
  }

  async #damagedPartsOf(file: ManifestFile): Promise<readonly string[]> {
    const damaged: string[] = [];
    const whole = this.#hasher.open();
    const tensors = this.#stored.get(file.name) ?? [];
    const places = tensors.map((tensor) => ({ tensor, place: this.#place(tensor) }));
    await this.#hashRange(file.name, 0, file.header?.sizeBytes ?? file.sizeBytes, [whole]);
    // Tensors tile the data of a file (its header was refused otherwise), so together they are the rest of it.
    for (const { tensor } of places.sort((a, b) => a.place.offsetBytes - b.place.offsetBytes))
      if (!(await this.#bytesOf(tensor.file, tensor.key).check(whole))) damaged.push(describe(tensor));
    const sha256 = await this.#hasher.digest(whole);
    return damaged.length === 0 && sha256 !== file.sha256 ? [`file '${file.name}'`] : damaged;
  }

  async #hashRange(file: string, start: number, end: number, streams: readonly number[]): Promise<void> {
    const path = inFolder(this.folder, file);
    for (let offset = start; offset < end; offset += CHUNK_BYTES) {
      const lengthBytes = Math.min(CHUNK_BYTES, end - offset);
      await this.#hasher.update(streams, await this.#storage.read(path, { offset, lengthBytes }));
    }
  }

  async #sha256(bytes: Uint8Array): Promise<string> {
    const stream = this.#hasher.open();
    await this.#hasher.update([stream], bytes);
    return this.#hasher.digest(stream);
  }
}

const describe = ({ name, group, file }: Pick<StoredTensor, 'name' | 'group' | 'file'>): string =>
  `tensor '${name}' (${group}) in '${file}'`;

function damagedParts(folder: string, parts: readonly string[]): CheckpointDamagedError {
  const rest = parts.length > 8 ? ` and ${parts.length - 8} more` : '';
  const problem = `bytes of ${parts.slice(0, 8).join(', ')}${rest} have changed since they were written`;
  return new CheckpointDamagedError(folder, problem, { parts });
}

/** Presence and size of every file, and nothing besides. */
async function checkFiles(storage: Storage, folder: string, manifest: Manifest): Promise<void> {
  const present = new Set(await storage.list(folder));
  for (const { name, sizeBytes } of manifest.files) {
    if (!present.delete(name))
      throw new CheckpointDamagedError(folder, `file '${name}' is missing`, { file: name });
    const found = await storage.sizeBytes(inFolder(folder, name));
    if (found !== sizeBytes) {
      throw new CheckpointDamagedError(folder, `file '${name}' has ${found} bytes instead of ${sizeBytes}`, {
        file: name,
      });
    }
  }
  present.delete(MANIFEST_FILE);
  const [extra] = present;
  if (extra !== undefined) {
    throw new CheckpointDamagedError(folder, `file '${extra}' does not belong to it`, { file: extra });
  }
}

/** The header of one file, checked against its hash and against the tensors that the manifest puts there. */
async function readHeader(
  storage: Storage,
  folder: string,
  tensors: readonly StoredTensor[],
  file: ManifestFile & { readonly header: NonNullable<ManifestFile['header']> },
  hasher: Hasher,
): Promise<SafetensorsHeader> {
  const { name, sizeBytes } = file;
  const damaged = (problem: string, details = {}): CheckpointDamagedError =>
    new CheckpointDamagedError(folder, problem, { file: name, ...details });
  const lengthBytes = Math.min(file.header.sizeBytes, sizeBytes);
  const bytes = await storage.read(inFolder(folder, name), { offset: 0, lengthBytes });
  const stream = hasher.open();
  await hasher.update([stream], bytes.slice());
  if ((await hasher.digest(stream)) !== file.header.sha256)
    throw damaged(`the header of file '${name}' has changed`);
  let header: SafetensorsHeader;
  try {
    if (headerJsonBytes(name, bytes, sizeBytes) !== lengthBytes - 8)
      throw new CheckpointFormatError(
        name,
        `its header is not the ${lengthBytes} bytes that the manifest says`,
      );
    header = parseHeader(name, bytes.subarray(8), sizeBytes);
  } catch (error) {
    if (!(error instanceof CheckpointFormatError)) throw error;
    throw new CheckpointDamagedError(folder, error.message, { ...error.details }, error);
  }
  const keys = new Set(header.tensors.keys());
  for (const tensor of tensors) {
    const found = header.tensors.get(tensor.key);
    if (found === undefined || !keys.delete(tensor.key)) {
      throw damaged(`tensor '${tensor.key}' is missing in '${name}'`, { tensor: tensor.name });
    }
    if (found.dtype !== 'F32' || String(found.shape) !== String(tensor.shape)) {
      throw damaged(`tensor '${tensor.key}' in '${name}' is not what the manifest says`, {
        tensor: tensor.name,
      });
    }
  }
  const [extra] = keys;
  if (extra !== undefined)
    throw damaged(`tensor '${extra}' in '${name}' is not in the manifest`, { tensor: extra });
  return header;
}

/**
 * Opens one checkpoint, and refuses it unless it is whole.
 *
 * @param folder - of the checkpoint itself, `runs/quickstart/step-000300`
 * @throws {CheckpointMissingError} TROUPE_CHECKPOINT_MISSING when there is no such folder
 * @throws {CheckpointDamagedError} TROUPE_CHECKPOINT_DAMAGED naming the tensor or file that is truncated, missing, extra or changed
 */
export async function openCheckpoint(
  storage: Storage,
  folder: string,
  options: OpenOptions = {},
): Promise<CheckpointReader> {
  const path = storagePath(folder);
  if (!(await storage.exists(path))) throw new CheckpointMissingError(path);
  const manifestPath = inFolder(path, MANIFEST_FILE);
  if (!(await storage.exists(manifestPath))) {
    throw new CheckpointDamagedError(path, `file '${MANIFEST_FILE}' is missing`, { file: MANIFEST_FILE });
  }
  const bytes = await storage.read(manifestPath);
  const manifest = await decodeManifest(path, bytes, options.hasher ?? inlineHasher());
  const hasher = options.hasher ?? hasherFor(manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0));
  try {
    await checkFiles(storage, path, manifest);
    const headers = new Map<string, SafetensorsHeader>();
    const stored = storedByFile(manifest);
    for (const file of manifest.files) {
      const { header } = file;
      if (header === null) continue;
      const tensors = stored.get(file.name) ?? [];
      headers.set(file.name, await readHeader(storage, path, tensors, { ...file, header }, hasher));
    }
    const isOwn = options.hasher === undefined;
    const reader = new CheckpointReader(storage, path, { manifest, headers }, { hasher, isOwn });
    if ((options.verify ?? 'full') === 'full') await reader.verify();
    return reader;
  } catch (error) {
    if (options.hasher === undefined) await hasher.close();
    throw error;
  }
}
