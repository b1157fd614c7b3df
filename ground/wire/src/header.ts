import { address, assert, type Address } from '@troupe/core';
import { Packr } from 'msgpackr';
import { checkBody } from './body.ts';
import { WireFormatError, WireOversizeError, WireVersionError } from './errors.ts';
import { isDtype, type FrameSpec } from './frames.ts';
import { wireLimits, wireVersion, type Message, type WireBody } from './message.ts';
import { scanMsgpack } from './scan.ts';

/** What one header says: a message without its tensors, the sender's life, and the list of frames. */
export interface Header {
  readonly message: Omit<Message, 'tensors'>;
  readonly incarnation: number;
  readonly frameSum: FrameSum;
  readonly frames: readonly FrameSpec[];
}

/** What the checksum covers beside the header: frames by xxHash64, or by the CRC-32 of each. Its place is what travels. */
export const frameSums = ['none', 'xxhash64', 'crc32'] as const;
export type FrameSum = (typeof frameSums)[number];

/** Bytes of the checksum; it is the last value of the map, so it can be written into the encoded header. */
export const checksumBytes = 8;

const packr = new Packr({ useRecords: false, moreTypes: false, variableMapSize: true });
const noChecksum = new Uint8Array(checksumBytes);

/** Short names on the wire; a field that is absent is left out. Order matters only for `sum`, which is last. */
const fields = new Set([
  'v',
  'kind',
  'from',
  'to',
  'inc',
  'step',
  'att',
  'ver',
  'layer',
  'mb',
  'cor',
  're',
  'body',
  'frames',
  'all',
  'sum',
]);

/**
 * Encodes a header with a checksum of zeros in its last {@link checksumBytes} bytes, which the caller fills in.
 *
 * @throws {WireOversizeError} TROUPE_WIRE_OVERSIZE above 64 KiB
 */
export function packHeader(header: Header): Uint8Array {
  const { message } = header;
  const map: Record<string, unknown> = {
    v: wireVersion,
    kind: message.kind,
    from: message.from,
    to: message.to,
    inc: header.incarnation,
    step: message.step,
    att: message.attempt,
    ver: message.version,
  };
  if (message.layer !== undefined) map['layer'] = message.layer;
  if (message.microbatch !== undefined) map['mb'] = message.microbatch;
  if (message.correlation !== undefined) map['cor'] = message.correlation;
  if (message.replyTo !== undefined) map['re'] = message.replyTo;
  map['body'] = message.body;
  map['frames'] = header.frames.map((frame) => [frame.dtype, frame.length]);
  map['all'] = frameSums.indexOf(header.frameSum);
  map['sum'] = noChecksum;
  const bytes = packr.pack(map);
  checkSize(bytes);
  const at = bytes.byteLength - checksumBytes;
  assert(bytes[at - 2] === 0xc4 && bytes[at - 1] === checksumBytes, 'a header ends in its checksum', { at });
  return bytes;
}

/**
 * Decodes and validates a header field by field. The version is judged first, so that a reader of another release is told so.
 *
 * @throws {WireVersionError | WireFormatError | WireOversizeError}
 */
export function unpackHeader(bytes: Uint8Array): Header {
  checkSize(bytes);
  scanMsgpack(bytes, wireLimits.bodyDepthMax + 2);
  let decoded: unknown;
  try {
    decoded = packr.unpack(bytes);
  } catch (cause) {
    throw new WireFormatError('header cannot be decoded', {}, cause);
  }
  if (typeof decoded !== 'object' || decoded === null || Array.isArray(decoded)) {
    throw new WireFormatError('header is not a map');
  }
  const map = decoded as Record<string, unknown>;
  const version = count(map, 'v');
  if (version !== wireVersion) throw new WireVersionError(version, wireVersion);
  for (const key of Object.keys(map)) {
    if (!fields.has(key))
      throw new WireFormatError(`header has an unknown field '${key.slice(0, 64)}'`, {
        key: key.slice(0, 64),
      });
  }
  checkChecksumField(bytes, map['sum']);
  const frameSum = frameSums[count(map, 'all')];
  if (frameSum === undefined) throw new WireFormatError("header field 'all' names no checksum of frames");
  return {
    message: messageOf(map),
    incarnation: count(map, 'inc'),
    frameSum,
    frames: framesOf(map['frames']),
  };
}

/** Checks the fields of a message that is about to leave, by the rules its receiver will apply. */
export function checkMessage(message: Message, incarnation: number): void {
  const map: Record<string, unknown> = {
    kind: message.kind,
    from: message.from,
    to: message.to,
    step: message.step,
    att: message.attempt,
    ver: message.version,
    layer: message.layer,
    mb: message.microbatch,
    cor: message.correlation,
    re: message.replyTo,
    body: message.body,
    inc: incarnation,
  };
  messageOf(map);
  count(map, 'inc');
}

function messageOf(map: Record<string, unknown>): Header['message'] {
  const layer = optionalCount(map, 'layer');
  const microbatch = optionalCount(map, 'mb');
  const correlation = optionalCount(map, 'cor');
  const replyTo = optionalCount(map, 're');
  const body: WireBody = checkBody(map['body']);
  return {
    kind: kindOf(map['kind']),
    from: addressOf(map, 'from'),
    to: addressOf(map, 'to'),
    step: count(map, 'step'),
    attempt: count(map, 'att'),
    version: count(map, 'ver'),
    ...(layer === undefined ? {} : { layer }),
    ...(microbatch === undefined ? {} : { microbatch }),
    ...(correlation === undefined ? {} : { correlation }),
    ...(replyTo === undefined ? {} : { replyTo }),
    body,
  };
}

function framesOf(list: unknown): FrameSpec[] {
  if (!Array.isArray(list)) throw new WireFormatError("header field 'frames' is not a list");
  if (list.length > wireLimits.framesMax) {
    throw new WireOversizeError('the list of frames', list.length, wireLimits.framesMax, 'frames');
  }
  return list.map((entry: unknown, index) => {
    if (!Array.isArray(entry) || entry.length !== 2)
      throw new WireFormatError(`frame ${index} is not a list of dtype and length`);
    const [dtype, length] = entry as unknown[];
    if (!isDtype(dtype)) throw new WireFormatError(`frame ${index} has an unknown dtype`);
    return { dtype, length: checkCount(length, `the length of frame ${index}`) };
  });
}

function checkSize(bytes: Uint8Array): void {
  if (bytes.byteLength > wireLimits.headerBytesMax) {
    throw new WireOversizeError('the header', bytes.byteLength, wireLimits.headerBytesMax, 'bytes');
  }
}

/** The field has to be the last value of the map, `bin 8` of 8 bytes: that is where the codec reads it. */
function checkChecksumField(bytes: Uint8Array, sum: unknown): void {
  const at = bytes.byteLength - checksumBytes;
  const isLast =
    sum instanceof Uint8Array &&
    sum.byteLength === checksumBytes &&
    bytes[at - 2] === 0xc4 &&
    bytes[at - 1] === 8;
  if (!isLast || bytes[at - 3] !== 0x6d)
    throw new WireFormatError("header does not end in its checksum field 'sum'");
}

function kindOf(kind: unknown): string {
  if (
    typeof kind !== 'string' ||
    kind.length > wireLimits.kindLengthMax ||
    !/^[a-z][\w-]*\.[a-z][\w.-]*$/i.test(kind)
  ) {
    throw new WireFormatError(
      `header field 'kind' is not a 'noun.verb' of at most ${wireLimits.kindLengthMax} characters`,
    );
  }
  return kind;
}

function addressOf(map: Record<string, unknown>, field: string): Address {
  const name = map[field];
  if (typeof name !== 'string' || name.length === 0 || name.length > wireLimits.addressLengthMax) {
    throw new WireFormatError(
      `header field '${field}' is not an address of 1 to ${wireLimits.addressLengthMax} characters`,
    );
  }
  return address(name);
}

function checkCount(value: unknown, what: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new WireFormatError(`${what} is not an integer from 0 to 2^53 - 1`);
  }
  return value as number;
}

const count = (map: Record<string, unknown>, field: string): number =>
  checkCount(map[field], `header field '${field}'`);

const optionalCount = (map: Record<string, unknown>, field: string): number | undefined =>
  map[field] === undefined ? undefined : count(map, field);
