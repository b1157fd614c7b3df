import { duplicateKey } from './duplicate-key.ts';
import { CheckpointFormatError } from './errors.ts';

/** Bytes of one element, for every dtype of the format whose elements are whole bytes. */
const dtypeSizes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
} as const;

export type SafetensorsDtype = keyof typeof dtypeSizes;

/** Bytes of one element of each dtype. */
export const safetensorsDtypeBytes: Readonly<Record<SafetensorsDtype, number>> = dtypeSizes;

/** Largest header that is read, as in the format's own library. */
const HEADER_BYTES_MAX = 100_000_000;

export interface SafetensorsTensor {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

/** A tensor and where its bytes lie in the file. */
export interface PlacedTensor extends SafetensorsTensor {
  /** From the start of the file. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Length prefix and padding included: the first byte of data. */
  readonly headerBytes: number;
  readonly fileBytes: number;
}

export const numElements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Bytes of one tensor. */
const tensorBytes = (tensor: SafetensorsTensor): number =>
  numElements(tensor.shape) * safetensorsDtypeBytes[tensor.dtype];

/**
 * Lays tensors side by side in the order given and writes the header for that, padded with spaces to a multiple of 8
 * so that every f64 of a mapped file is aligned.
 *
 * @returns the header's bytes, length prefix included, and the places of the tensors
 * @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT for two tensors of one name
 */
export function writeHeader(
  file: string,
  tensors: readonly SafetensorsTensor[],
  metadata: Readonly<Record<string, string>> = {},
): { readonly bytes: Uint8Array; readonly header: SafetensorsHeader } {
  const entries: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [];
  const names = new Set<string>(['__metadata__']);
  let end = 0;
  for (const tensor of tensors) {
    if (names.has(tensor.name)) {
      throw new CheckpointFormatError(file, `tensor '${tensor.name}' comes twice`, { tensor: tensor.name });
    }
    names.add(tensor.name);
    const start = end;
    end += tensorBytes(tensor);
    entries.push([tensor.name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [start, end] }]);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const headerBytes = 8 + Math.ceil(json.byteLength / 8) * 8;
  const bytes = new Uint8Array(headerBytes).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes - 8), true);
  bytes.set(json, 8);
  let offsetBytes = headerBytes;
  const placed = tensors.map((tensor): [string, PlacedTensor] => {
    const lengthBytes = tensorBytes(tensor);
    const place = { ...tensor, offsetBytes, lengthBytes };
    offsetBytes += lengthBytes;
    return [tensor.name, place];
  });
  return { bytes, header: { tensors: new Map(placed), metadata, headerBytes, fileBytes: headerBytes + end } };
}

/**
 * Length of the JSON behind the eight bytes at the start of a file.
 *
 * @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT when it reaches past the file or is beyond HEADER_BYTES_MAX
 */
export function headerJsonBytes(file: string, prefix: Uint8Array, fileBytes: number): number {
  if (prefix.byteLength < 8) {
    throw new CheckpointFormatError(
      file,
      `has ${fileBytes} bytes, fewer than the 8 that give the header's length`,
    );
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, 8);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(HEADER_BYTES_MAX) || length > BigInt(fileBytes - 8)) {
    const found = `its header claims ${length} bytes`;
    throw new CheckpointFormatError(
      file,
      `${found} in a file of ${fileBytes}; it is cut or no safetensors file`,
    );
  }
  return Number(length);
}

/**
 * Reads and checks a header.
 *
 * @param json - the bytes behind the length prefix, padding included
 * @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT for bad JSON, a name twice, an unknown dtype, a bad shape,
 * a size that does not follow from dtype and shape, an overlap, a hole, or data that ends elsewhere than the file
 */
export function parseHeader(file: string, json: Uint8Array, fileBytes: number): SafetensorsHeader {
  const entries = Object.entries(parseJson(file, json));
  const headerBytes = 8 + json.byteLength;
  let metadata: Readonly<Record<string, string>> = {};
  const tensors: PlacedTensor[] = [];
  for (const [name, value] of entries) {
    if (name === '__metadata__') metadata = parseMetadata(file, value);
    else tensors.push(parseTensor(file, name, value, headerBytes));
  }
  checkTiling(file, tensors, headerBytes, fileBytes);
  return { tensors: new Map(tensors.map((each) => [each.name, each])), metadata, headerBytes, fileBytes };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function parseJson(file: string, json: Uint8Array): Readonly<Record<string, unknown>> {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
    value = JSON.parse(text);
  } catch (error) {
    throw new CheckpointFormatError(file, `its header is no JSON: ${String(error)}`);
  }
  if (!isRecord(value) || !text.startsWith('{')) {
    throw new CheckpointFormatError(file, 'its header does not start with a JSON object');
  }
  const twice = duplicateKey(text);
  if (twice !== null)
    throw new CheckpointFormatError(file, `'${twice}' comes twice in the header`, { tensor: twice });
  return value;
}

function parseMetadata(file: string, value: unknown): Readonly<Record<string, string>> {
  if (isRecord(value) && Object.values(value).every((each) => typeof each === 'string')) {
    return value as Record<string, string>;
  }
  throw new CheckpointFormatError(file, '__metadata__ is not an object of strings');
}

function parseTensor(file: string, name: string, value: unknown, headerBytes: number): PlacedTensor {
  const refuse = (problem: string): CheckpointFormatError =>
    new CheckpointFormatError(file, `tensor '${name}' ${problem}`, { tensor: name });
  if (!isRecord(value)) throw refuse('has no description');
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(dtypeSizes, dtype)) {
    throw refuse(
      `has dtype ${JSON.stringify(dtype)}, which is not one of ${Object.keys(dtypeSizes).join(', ')}`,
    );
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw refuse(`has shape ${JSON.stringify(shape)}, which is no list of counts`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw refuse(`has data_offsets ${JSON.stringify(offsets)}, which is no pair of counts`);
  }
  const [start, end] = offsets as [number, number];
  const tensor = { name, dtype: dtype as SafetensorsDtype, shape };
  const expected = tensorBytes(tensor);
  if (end - start !== expected) {
    throw refuse(`has ${end - start} bytes, but ${dtype} [${shape.join(', ')}] takes ${expected}`);
  }
  return { ...tensor, offsetBytes: headerBytes + start, lengthBytes: expected };
}

function checkTiling(
  file: string,
  tensors: readonly PlacedTensor[],
  headerBytes: number,
  fileBytes: number,
): void {
  const inOrder = tensors.toSorted((a, b) => a.offsetBytes - b.offsetBytes || a.lengthBytes - b.lengthBytes);
  let end = headerBytes;
  let before: PlacedTensor | null = null;
  for (const tensor of inOrder) {
    if (tensor.offsetBytes !== end) {
      const neighbour = before === null ? 'the header' : `tensor '${before.name}'`;
      const what = tensor.offsetBytes < end ? 'overlaps' : 'leaves a hole behind';
      throw new CheckpointFormatError(file, `tensor '${tensor.name}' ${what} ${neighbour}`, {
        tensor: tensor.name,
      });
    }
    end += tensor.lengthBytes;
    before = tensor;
  }
  if (end !== fileBytes) {
    const what = end > fileBytes ? 'it is cut' : 'it has bytes that belong to no tensor';
    const last = before === null ? {} : { tensor: before.name };
    throw new CheckpointFormatError(
      file,
      `data ends at byte ${end}, the file at ${fileBytes}: ${what}`,
      last,
    );
  }
}
