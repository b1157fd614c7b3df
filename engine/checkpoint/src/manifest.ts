import { assert } from '@troupe/core';
import { stateNames, type StateName } from '@troupe/spec';
import { duplicateKey } from './duplicate-key.ts';
import { CheckpointDamagedError } from './errors.ts';
import type { Hasher } from './hasher.ts';
import { isJsonObject, parseJson, quoted, shownJson, type JsonLimits } from './json-text.ts';
import { tilingProblem, type TensorPiece } from './tensor-pieces.ts';

export const MANIFEST_FILE = 'manifest.json';
export const TOKENIZER_FILE = 'tokenizer.json';
export const FORMAT_VERSION = 1;
/** Of a checkpoint in parts: tensors may lie in pieces. */
export const PARTS_VERSION = 2;

/** What a tensor is: a parameter, or what an optimizer keeps of one. */
export type TensorGroup = 'weights' | StateName;

export const tensorGroups: readonly TensorGroup[] = ['weights', ...stateNames];

/** What a checkpoint says besides its tensors. All of it plain JSON without NaN or infinities. */
export interface ManifestBase {
  /** Updates that the tensors have received. */
  readonly step: number;
  /** The resolved topology. */
  readonly topology: unknown;
  /** What the trainer keeps between steps: Adam's clock, skipped steps, metrics that go on. */
  readonly trajectory: unknown;
  readonly dataCursor: unknown;
  readonly rngKeys: unknown;
  /** Of the documents that the run reads, in their order; null when it reads none. Absent in checkpoints that are older than this key. */
  readonly corpusSha256?: string | null;
  /** `manifestSha256` of the checkpoints that this one comes from, the nearest first: {@link lineageOf} of what it goes on from. Default none. */
  readonly parents?: readonly string[];
}

export interface ManifestTensor {
  readonly name: string;
  readonly group: TensorGroup;
  /** File that holds it, and its key there; absent where it is in pieces. */
  readonly file?: string;
  readonly key?: string;
  /** Of a checkpoint in parts: every element once. */
  readonly pieces?: readonly TensorPiece[];
  readonly shape: readonly number[];
  readonly dtype: 'f32';
  /** Of its bytes; of a tensor in pieces: of their hashes, one behind the other. */
  readonly sha256: string;
  readonly layer: number | null;
  /** Global index of the expert that it belongs to; null for everything else. */
  readonly expert: number | null;
}

export interface ManifestFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** Of a safetensors file: its header, length prefix and padding included. */
  readonly header: { readonly sizeBytes: number; readonly sha256: string } | null;
}

/** `manifest.json`: what belongs to a checkpoint, and the hash of all of it. */
export interface Manifest extends ManifestBase {
  readonly parents: readonly string[];
  readonly format: 'troupe-checkpoint';
  readonly formatVersion: typeof FORMAT_VERSION | typeof PARTS_VERSION;
  readonly files: readonly ManifestFile[];
  readonly tensors: readonly ManifestTensor[];
  /** SHA-256 of the file's bytes before the line that holds it. */
  readonly manifestSha256: string;
}

/**
 * What a checkpoint that goes on from others names as its `parents`: these, then the ones that they come from, each once. So two runs that
 * began with the same weights are known as relatives after any number of resumptions.
 */
export function lineageOf(
  ...from: readonly Pick<Manifest, 'manifestSha256' | 'parents'>[]
): readonly string[] {
  return [
    ...new Set([
      ...from.map(({ manifestSha256 }) => manifestSha256),
      ...from.flatMap(({ parents }) => parents),
    ]),
  ];
}

/** A hundred thousand tensors with their moments, and room. */
const limits: JsonLimits = { bytes: 2 ** 28, depth: 64, values: 2 ** 24 };

const tailOf = (sha256: string): string => `,\n "manifestSha256": "${sha256}"\n}\n`;
const TAIL_BYTES = tailOf('0'.repeat(64)).length;

async function sha256Of(bytes: Uint8Array, hasher: Hasher): Promise<string> {
  const stream = hasher.open();
  await hasher.update([stream], bytes);
  return hasher.digest(stream);
}

/** Bytes of `manifest.json`, its own hash in the last line. */
export async function encodeManifest(
  manifest: Omit<Manifest, 'manifestSha256'>,
  hasher: Hasher,
): Promise<{ readonly bytes: Uint8Array; readonly sha256: string }> {
  assertPlain(manifest, 'manifest');
  const body = JSON.stringify(manifest, null, 1).slice(0, -'\n}'.length);
  const sha256 = await sha256Of(new TextEncoder().encode(body), hasher);
  return { bytes: new TextEncoder().encode(body + tailOf(sha256)), sha256 };
}

/**
 * Reads `manifest.json` and checks it against its own hash, byte for byte.
 *
 * @throws {CheckpointDamagedError} TROUPE_CHECKPOINT_DAMAGED
 */
export async function decodeManifest(folder: string, bytes: Uint8Array, hasher: Hasher): Promise<Manifest> {
  const damaged = (problem: string): CheckpointDamagedError =>
    new CheckpointDamagedError(folder, `${MANIFEST_FILE} ${problem}`, { file: MANIFEST_FILE });
  const body = bytes.slice(0, Math.max(0, bytes.byteLength - TAIL_BYTES));
  const tail = new TextDecoder().decode(bytes.subarray(body.byteLength));
  const sha256 = await sha256Of(body, hasher);
  if (tail !== tailOf(sha256)) throw damaged('does not match its own hash');
  const read = parseJson(bytes, limits);
  if ('problem' in read) throw damaged(read.problem);
  const twice = duplicateKey(read.text);
  if (twice !== null) throw damaged(`has the key ${quoted(twice)} twice`);
  const problem = manifestProblem(read.value as Untyped<Manifest>);
  if (problem !== null) throw damaged(problem);
  return read.value as Manifest;
}

/** What a file claims about a value of type T. */
type Untyped<T> = { readonly [K in keyof T]?: unknown };

/** The hash protects against damage; this against a file that another program wrote. */
function manifestProblem(manifest: Untyped<Manifest>): string | null {
  if (manifest.format !== 'troupe-checkpoint') return `has format ${shownJson(manifest.format)}`;
  if (manifest.formatVersion !== FORMAT_VERSION && manifest.formatVersion !== PARTS_VERSION)
    return `has format version ${shownJson(manifest.formatVersion)}; this Troupe reads ${FORMAT_VERSION} and ${PARTS_VERSION}`;
  if (!isCount(manifest.step)) return `has step ${shownJson(manifest.step)}`;
  const { corpusSha256 = null } = manifest;
  if (corpusSha256 !== null && !isSha256(corpusSha256)) return `has corpus hash ${shownJson(corpusSha256)}`;
  if (!Array.isArray(manifest.parents) || !manifest.parents.every(isSha256))
    return `has parents ${shownJson(manifest.parents)}, which is no list of hashes`;
  if (!Array.isArray(manifest.files) || !Array.isArray(manifest.tensors))
    return 'lacks the list of files or tensors';
  const files = new Map<string, boolean>();
  for (const file of manifest.files as readonly unknown[]) {
    const problem = fileProblem(file, files);
    if (problem !== null) return problem;
  }
  const tensors = new Set<string>();
  for (const tensor of manifest.tensors as readonly unknown[]) {
    const problem = tensorProblem(tensor, files, tensors);
    if (problem !== null) return problem;
  }
  return null;
}

/** @param files - those before it, and whether they have a header; this one is added */
function fileProblem(file: unknown, files: Map<string, boolean>): string | null {
  if (!isJsonObject(file)) return `has ${shownJson(file)} where a file is described`;
  const { name, sizeBytes, sha256, header }: Untyped<ManifestFile> = file;
  if (!isFileName(name) || !isCount(sizeBytes) || !isSha256(sha256))
    return `describes file ${shownJson(name)} wrongly`;
  const isGood =
    header === null || (isJsonObject(header) && isCount(header['sizeBytes']) && isSha256(header['sha256']));
  if (!isGood) return `describes the header of ${quoted(name)} wrongly`;
  if (files.has(name) || name === MANIFEST_FILE) return `lists file ${quoted(name)} twice`;
  files.set(name, header !== null);
  return null;
}

/** @param tensors - ids of those before it; this one is added */
function tensorProblem(
  tensor: unknown,
  files: ReadonlyMap<string, boolean>,
  tensors: Set<string>,
): string | null {
  if (!isJsonObject(tensor)) return `has ${shownJson(tensor)} where a tensor is described`;
  const { name, group, file, key, pieces, shape, dtype, sha256, layer, expert }: Untyped<ManifestTensor> =
    tensor;
  const isGood =
    typeof name === 'string' &&
    isGroup(group) &&
    Array.isArray(shape) &&
    shape.every(isCount) &&
    dtype === 'f32' &&
    isSha256(sha256) &&
    (layer === null || isCount(layer)) &&
    (expert === null || isCount(expert));
  if (!isGood) return `describes tensor ${shownJson(name)} wrongly`;
  const places = pieces === undefined ? [{ file, key }] : pieces;
  if (!Array.isArray(places)) return `describes the pieces of tensor ${quoted(name)} wrongly`;
  for (const place of places as readonly unknown[]) {
    const problem = placeProblem(place, name, files);
    if (problem !== null) return problem;
  }
  const problem = pieces === undefined ? null : piecesProblem(shape, places);
  if (problem !== null) return `says that tensor ${quoted(name)} (${group}) ${problem}`;
  const id = tensorId(name, group);
  if (tensors.has(id)) return `lists tensor ${quoted(name)} (${group}) twice`;
  tensors.add(id);
  return null;
}

function placeProblem(place: unknown, name: string, files: ReadonlyMap<string, boolean>): string | null {
  const { file, key }: Untyped<TensorPiece> = isJsonObject(place) ? place : {};
  if (typeof file !== 'string' || files.get(file) !== true)
    return `puts tensor ${quoted(name)} into ${shownJson(file)}, which is no safetensors file that it lists`;
  return typeof key === 'string' ? null : `describes tensor ${quoted(name)} wrongly`;
}

/** @param pieces - whose files and keys are good */
function piecesProblem(shape: readonly number[], pieces: readonly Untyped<TensorPiece>[]): string | null {
  const isGood = pieces.every(
    ({ offset, length, rowLength = 1, rowStride = 1, sha256 }) =>
      [offset, length, rowLength, rowStride].every(isCount) && isSha256(sha256),
  );
  return isGood ? tilingProblem(shape, pieces as readonly TensorPiece[]) : 'has a piece that is none';
}

const isGroup = (value: unknown): value is TensorGroup =>
  (tensorGroups as readonly unknown[]).includes(value);

/** One string for a tensor of a group. */
export const tensorId = (name: string, group: TensorGroup): string => `${group}:${name}`;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isSha256 = (value: unknown): value is string =>
  typeof value === 'string' && /^[0-9a-f]{64}$/u.test(value);
const isFileName = (value: unknown): value is string => typeof value === 'string' && /^[\w.-]+$/u.test(value);

/** Refuses what JSON would change without a word. */
function assertPlain(value: unknown, path: string): void {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return;
  if (typeof value === 'number') {
    assert(Number.isFinite(value), `${path} is ${value}, which JSON cannot hold`);
    return;
  }
  assert(typeof value === 'object' && !ArrayBuffer.isView(value), `${path} is no plain JSON value`);
  for (const [key, each] of Object.entries(value)) {
    if (each !== undefined) assertPlain(each, `${path}.${key}`);
  }
}
