import { assert, type Lane, type Packet } from '@troupe/core';
import { lanes } from './limits.ts';

/** Version of what travels between two transports; raised by every change that an older one would misread. */
export const transportVersion = 2;

/** Types of message between two transports. */
export const types = { hello: 1, welcome: 2, packets: 3, credit: 4, goodbye: 5, goodbyeAck: 6 } as const;
export type TypeName = keyof typeof types;

const magic = 0x54;
const prologueBytes = 24;
const externalBit = 0x8000_0000;

/** Frames of at least this many bytes travel as ZeroMQ parts of their own, not copied; smaller ones are copied into the batch. */
export const externalFrameBytes = 16 * 1024;
/** A batch takes no further packet beyond this many copied bytes. */
const batchInlineBytes = 64 * 1024;
/** A batch takes no further packet beyond this many bytes in own parts: a ZeroMQ message is delivered when it is complete. */
const batchExternalBytes = 256 * 1024;

/** First part of every message: type, lane, token of the sender's session, and two numbers that depend on the type. */
export interface Prologue {
  readonly type: TypeName;
  readonly lane: Lane;
  /** Names the sender's session: node, incarnation and connection attempt, as its hello said. */
  readonly token: number;
  /** Packets: how many. Credit: how many runs. */
  readonly count: number;
  /** Packets: number of the first. Welcome: the token that is welcomed. */
  readonly first: number;
}

/** Something that arrived is not what a transport sends; the message says what. Internal: counted, logged, never thrown out. */
export class GarbageError extends Error {
  override readonly name = 'GarbageError';
}

const typeNames = new Map<number, TypeName>(
  Object.entries(types).map(([name, type]) => [type, name as TypeName]),
);

const aligned = (bytes: number): number => (bytes + 7) & ~7;

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function writePrologue(view: DataView, prologue: Prologue): void {
  assert(
    Number.isSafeInteger(prologue.token) && Number.isSafeInteger(prologue.first),
    'a token and a packet number are exact integers',
  );
  view.setUint8(0, magic);
  view.setUint8(1, transportVersion);
  view.setUint8(2, types[prologue.type]);
  view.setUint8(3, lanes.indexOf(prologue.lane));
  view.setUint32(4, prologue.count, true);
  view.setFloat64(8, prologue.token, true);
  view.setFloat64(16, prologue.first, true);
}

/** @throws {GarbageError} */
export function readPrologue(bytes: Uint8Array): Prologue {
  if (bytes.byteLength < prologueBytes) throw new GarbageError('shorter than a prologue');
  const view = viewOf(bytes);
  if (view.getUint8(0) !== magic) throw new GarbageError('not a message of a transport');
  if (view.getUint8(1) !== transportVersion) {
    throw new GarbageError(`transport version ${view.getUint8(1)} found, ${transportVersion} supported`);
  }
  const type = typeNames.get(view.getUint8(2));
  const lane = lanes[view.getUint8(3)];
  if (type === undefined || lane === undefined) throw new GarbageError('unknown type or lane');
  const [token, first] = [view.getFloat64(8, true), view.getFloat64(16, true)];
  if (!Number.isSafeInteger(token) || !Number.isSafeInteger(first))
    throw new GarbageError('token or number out of range');
  return { type, lane, token, first, count: view.getUint32(4, true) };
}

/** A message without packets; `payload` follows the prologue. */
export function encodeService(
  prologue: Omit<Prologue, 'count' | 'first'> & Partial<Prologue>,
  payload?: Uint8Array,
): Uint8Array {
  const bytes = Buffer.alloc(prologueBytes + (payload?.byteLength ?? 0));
  writePrologue(viewOf(bytes), { count: 0, first: 0, ...prologue });
  if (payload !== undefined) bytes.set(payload, prologueBytes);
  return bytes;
}

export const payloadOf = (bytes: Uint8Array): Uint8Array => bytes.subarray(prologueBytes);

/** Runs of released packet numbers: `[start, count, start, count, …]`. */
export function encodeCredit(token: number, lane: Lane, runs: readonly number[]): Uint8Array {
  assert(runs.length > 0 && runs.length % 2 === 0, 'credit consists of runs: start and count');
  const payload = Buffer.alloc(runs.length * 8);
  const view = viewOf(payload);
  for (let index = 0; index < runs.length; index++) view.setFloat64(index * 8, runs[index]!, true);
  return encodeService({ type: 'credit', lane, token, count: runs.length / 2 }, payload);
}

/** @throws {GarbageError} */
export function decodeCredit(bytes: Uint8Array, numRuns: number): number[] {
  if (bytes.byteLength !== prologueBytes + numRuns * 16) throw new GarbageError('credit of the wrong length');
  const view = viewOf(bytes);
  return Array.from({ length: numRuns * 2 }, (_, index) => view.getFloat64(prologueBytes + index * 8, true));
}

/**
 * Encodes the packets that `take` gives until a batch is full: many small ones share one ZeroMQ message, whose cost per message is
 * several microseconds; large frames ride along as parts of their own.
 *
 * @returns the parts, or undefined when `take` gave nothing
 */
export function encodeBatch(
  prologue: Pick<Prologue, 'lane' | 'token' | 'first'>,
  take: () => Packet | undefined,
): Uint8Array[] | undefined {
  const packets: Packet[] = [];
  const external: Uint8Array[] = [];
  let inlineBytes = prologueBytes;
  let externalBytes = 0;
  while (inlineBytes < batchInlineBytes && externalBytes < batchExternalBytes) {
    const packet = take();
    if (packet === undefined) break;
    packets.push(packet);
    inlineBytes += aligned(8 + 4 * packet.frames.length) + aligned(packet.header.byteLength);
    for (const frame of packet.frames) {
      if (frame.byteLength < externalFrameBytes) inlineBytes += aligned(frame.byteLength);
      else {
        external.push(frame);
        externalBytes += frame.byteLength;
      }
    }
  }
  if (packets.length === 0) return undefined;
  const bytes = Buffer.allocUnsafe(inlineBytes);
  const view = viewOf(bytes);
  writePrologue(view, { ...prologue, type: 'packets', count: packets.length });
  let at = prologueBytes;
  for (const packet of packets) at = writePacket(bytes, view, at, packet);
  assert(at === inlineBytes, 'the packets of a batch fill its first part exactly');
  return [bytes, ...external];
}

function writePacket(bytes: Uint8Array, view: DataView, start: number, packet: Packet): number {
  const { header, frames } = packet;
  view.setUint32(start, header.byteLength, true);
  view.setUint32(start + 4, frames.length, true);
  for (let index = 0; index < frames.length; index++) {
    const length = frames[index]!.byteLength;
    view.setUint32(start + 8 + 4 * index, length < externalFrameBytes ? length : length + externalBit, true);
  }
  let at = start + aligned(8 + 4 * frames.length);
  bytes.set(header, at);
  at += aligned(header.byteLength);
  for (const frame of frames) {
    if (frame.byteLength >= externalFrameBytes) continue;
    bytes.set(frame, at);
    at += aligned(frame.byteLength);
  }
  return at;
}

/**
 * Takes a batch apart. The first part is copied once into own memory: small frames become aligned views of it, and the memory of the
 * ZeroMQ library is free at once. Frames in parts of their own stay where the library received them.
 *
 * @throws {GarbageError} before any packet is given out
 */
export function decodeBatch(parts: readonly Uint8Array[], numPackets: number): Packet[] {
  // From Node's pool where it is small, at a multiple of 8 bytes.
  const bytes = Buffer.from(parts[0]!);
  const view = viewOf(bytes);
  const packets: Packet[] = [];
  let at = prologueBytes;
  let part = 1;
  const inline = (length: number): Uint8Array => {
    if (length > bytes.byteLength - at) throw new GarbageError('a batch ends early');
    const slice = bytes.subarray(at, at + length);
    at += aligned(length);
    return slice;
  };
  for (let packet = 0; packet < numPackets; packet++) {
    if (at + 8 > bytes.byteLength) throw new GarbageError('a batch ends early');
    const headerBytes = view.getUint32(at, true);
    const numFrames = view.getUint32(at + 4, true);
    const table = at + 8;
    if (numFrames > (bytes.byteLength - table) / 4) throw new GarbageError('a batch ends early');
    at += aligned(8 + 4 * numFrames);
    const header = inline(headerBytes);
    const frames: Uint8Array[] = [];
    for (let index = 0; index < numFrames; index++) {
      const length = view.getUint32(table + 4 * index, true);
      if (length < externalBit) frames.push(inline(length));
      else {
        const frame = parts[part++];
        if (frame?.byteLength !== length - externalBit)
          throw new GarbageError('a part is missing or of the wrong length');
        frames.push(frame);
      }
    }
    packets.push({ header, frames });
  }
  if (part !== parts.length || at < bytes.byteLength)
    throw new GarbageError('a batch has bytes or parts too many');
  return packets;
}
