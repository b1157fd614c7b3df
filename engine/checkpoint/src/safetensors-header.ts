import { assert } from '@troupe/core';
import { duplicateKey } from './duplicate-key.ts';
import { CheckpointFormatError } from './errors.ts';
import { isJsonObject, parseJson, quoted, shownJson, type JsonLimits } from './json-text.ts';
import {
  isSafetensorsDtype,
  safetensorsDtypes,
  tensorBytes,
  type SafetensorsDtype,
} from './safetensors-dtype.ts';

/** Bytes as in the format's own library; a million tensors, of which each has fifteen values. */
const limits: JsonLimits = { bytes: 100_000_000, depth: 16, values: 2 ** 24 };

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

/** Bytes of a tensor that is to be written. */
function sizeOf({ name, dtype, shape }: SafetensorsTensor): number {
  const bytes = tensorBytes(dtype, shape);
  assert(bytes !== null, 'a tensor that is written has a size in whole bytes', { tensor: name });
  return bytes;
}

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
    end += sizeOf(tensor);
    entries.push([tensor.name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [start, end] }]);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const headerBytes = 8 + Math.ceil(json.byteLength / 8) * 8;
  const bytes = new Uint8Array(headerBytes).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes - 8), true);
  bytes.set(json, 8);
  let offsetBytes = headerBytes;
  const placed = tensors.map((tensor): [string, PlacedTensor] => {
    const lengthBytes = sizeOf(tensor);
    const place = { ...tensor, offsetBytes, lengthBytes };
    offsetBytes += lengthBytes;
    return [tensor.name, place];
  });
  return { bytes, header: { tensors: new Map(placed), metadata, headerBytes, fileBytes: headerBytes + end } };
}

/**
 * Length of the JSON behind the eight bytes at the start of a file.
 *
 * @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT when it reaches past the file or is beyond the limit
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
  if (length > BigInt(limits.bytes) || length > BigInt(fileBytes - 8)) {
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
  const { text, value: entries } = parseText(file, json);
  const headerBytes = 8 + json.byteLength;
  let metadata: Readonly<Record<string, string>> = {};
  const tensors: PlacedTensor[] = [];
  for (const [name, value] of Object.entries(entries)) {
    if (name === '__metadata__') metadata = parseMetadata(file, value);
    else tensors.push(parseTensor(file, name, value, headerBytes));
  }
  const number = oddCount(text);
  if (number !== null)
    throw new CheckpointFormatError(file, `its header has the count ${number}; counts are written in digits`);
  checkTiling(file, tensors, headerBytes, fileBytes);
  return { tensors: new Map(tensors.map((each) => [each.name, each])), metadata, headerBytes, fileBytes };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function parseText(
  file: string,
  json: Uint8Array,
): { readonly text: string; readonly value: Readonly<Record<string, unknown>> } {
  const read = parseJson(json, limits);
  if ('problem' in read) throw new CheckpointFormatError(file, `its header ${read.problem}`);
  const { text, value } = read;
  if (!isJsonObject(value)) throw new CheckpointFormatError(file, 'its header is no JSON object');
  const twice = duplicateKey(text);
  if (twice !== null)
    throw new CheckpointFormatError(file, `${quoted(twice)} comes twice in the header`, { tensor: twice });
  return { text, value };
}

/**
 * A number of a shape or of offsets that is written other than in digits (`1.0`, `1e3`, `-0`), which `JSON.parse` does not tell apart.
 *
 * @param json - a text that `JSON.parse` accepts
 */
function oddCount(json: string): string | null {
  if (!/[[,]\s*(?:-|\d+[.eE])/u.test(json)) return null;
  let [lastString, key, isCounts] = ['', '', false];
  for (const [token] of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:]|-?\d[\d.eE+-]*/gu)) {
    if (token.startsWith('"')) lastString = token;
    else if (token === ':') key = JSON.parse(lastString) as string;
    else if (token === '[') isCounts = key === 'shape' || key === 'data_offsets';
    else if (/^[{}\]]$/u.test(token)) isCounts = false;
    else if (isCounts && !/^\d+$/u.test(token)) return token;
  }
  return null;
}

/** Text for text; null stands for none. */
function parseMetadata(file: string, value: unknown): Readonly<Record<string, string>> {
  if (value === null) return {};
  if (isJsonObject(value) && Object.values(value).every((each) => typeof each === 'string')) {
    return value as Record<string, string>;
  }
  throw new CheckpointFormatError(file, '__metadata__ is not an object of strings');
}

function parseTensor(file: string, name: string, value: unknown, headerBytes: number): PlacedTensor {
  const refuse = (problem: string): CheckpointFormatError =>
    new CheckpointFormatError(file, `tensor ${quoted(name)} ${problem}`, { tensor: name });
  if (!isJsonObject(value)) throw refuse('has no description');
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isSafetensorsDtype(dtype))
    throw refuse(`has dtype ${shownJson(dtype)}, which is not one of ${safetensorsDtypes.join(', ')}`);
  if (!Array.isArray(shape) || !shape.every(isCount))
    throw refuse(`has shape ${shownJson(shape)}, which is no list of counts up to 2^53`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw refuse(`has data_offsets ${shownJson(offsets)}, which is no pair of counts`);
  const [start, end] = offsets as [number, number];
  const expected = tensorBytes(dtype, shape);
  if (expected === null)
    throw refuse(`has ${dtype} ${shownJson(shape)}, which is beyond 64 bits or ends inside a byte`);
  if (end - start !== expected)
    throw refuse(`has ${end - start} bytes, but ${dtype} ${shownJson(shape)} takes ${expected}`);
  return { name, dtype, shape, offsetBytes: headerBytes + start, lengthBytes: expected };
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
      const neighbour = before === null ? 'the header' : `tensor ${quoted(before.name)}`;
      const what = tensor.offsetBytes < end ? 'overlaps' : 'leaves a hole behind';
      throw new CheckpointFormatError(file, `tensor ${quoted(tensor.name)} ${what} ${neighbour}`, {
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
