import { assert, type Packet } from '@troupe/core';
import { checksum } from './checksum.ts';
import { tableCrc32, type Crc32 } from './crc32.ts';
import { WireChecksumError, WireFormatError, WireKindError, WireOversizeError } from './errors.ts';
import { frameSpec, frameTensor, tensorBytes } from './frames.ts';
import { checkMessage, checksumBytes, packHeader, unpackHeader, type FrameSum } from './header.ts';
import { wireLimits, type Message } from './message.ts';

export interface CodecOptions {
  /** Every kind this run knows; others are refused on both sides. */
  readonly kinds: ReadonlySet<string>;
  /**
   * What the checksum of outgoing packets covers. `all` (default): header and frames. `header`: frames are left to the
   * transport, for links inside a machine where a copy through the kernel is no less sure than memory itself.
   */
  readonly checksum?: 'all' | 'header';
  /** A fast one, such as the native device's: frames are summed with it. Default: by xxHash64 in WebAssembly. Any receiver reads both. */
  readonly crc32?: Crc32;
}

export interface Codec {
  /** A packet is the message that its sender made, whose types the compiler has judged: nobody need look at its shape again. */
  readonly isReference?: true;
  /**
   * Encodes a message; frames are views of its tensors, so these must not change until the packet has been taken.
   *
   * @param incarnation - life number of the sending actor
   * @throws {WireFormatError | WireKindError | WireOversizeError} when the message could not be received
   */
  encodeMessage(message: Message, incarnation: number): Packet;
  /**
   * Decodes a packet from anywhere; whatever the bytes are, it returns a valid message or throws one of the errors below.
   *
   * Tensors are views of the frames where these are aligned: copy what has to outlive the packet, then release it.
   *
   * @throws {WireOversizeError | WireFormatError | WireVersionError | WireKindError | WireChecksumError}
   */
  decodeMessage(packet: Packet): { readonly message: Message; readonly incarnation: number };
}

/** The header codec of a run: one msgpack map per message, tensors beside it as raw frames. */
export function createCodec(options: CodecOptions): Codec {
  const { kinds } = options;
  const summed = options.crc32 === undefined ? 'xxhash64' : 'crc32';
  const frameSum = options.checksum === 'header' ? 'none' : summed;
  const sumOf = { xxhash64: hashed, crc32: crcs(options.crc32 ?? tableCrc32) } as const;
  const packetChecksum = (header: Uint8Array, frames: readonly Uint8Array[], by: FrameSum): bigint => {
    const hash = checksum(header.subarray(0, header.byteLength - checksumBytes), 0n);
    return by === 'none' ? hash : sumOf[by](frames, hash);
  };

  return {
    encodeMessage(message, incarnation) {
      checkMessage(message, incarnation);
      if (!kinds.has(message.kind)) throw new WireKindError(message.kind);
      const { tensors } = message;
      if (tensors.length > wireLimits.framesMax) {
        throw new WireOversizeError('the list of tensors', tensors.length, wireLimits.framesMax, 'frames');
      }
      const specs = tensors.map(frameSpec);
      const header = packHeader({ message, incarnation, frameSum, frames: specs });
      const frames = tensors.map((tensor) => tensorBytes(tensor));
      const at = header.byteLength - checksumBytes;
      assert(frames.length === specs.length, 'a packet has one frame for each tensor', {
        frames: frames.length,
        specs: specs.length,
      });
      new DataView(header.buffer, header.byteOffset + at).setBigUint64(
        0,
        packetChecksum(header, frames, frameSum),
      );
      return { header, frames };
    },

    decodeMessage(packet) {
      const header = unpackHeader(packet.header);
      const found = packetChecksum(packet.header, packet.frames, header.frameSum);
      const expected = new DataView(
        packet.header.buffer,
        packet.header.byteOffset + packet.header.byteLength - checksumBytes,
      ).getBigUint64(0);
      if (found !== expected) throw new WireChecksumError(found.toString(16), expected.toString(16));
      if (!kinds.has(header.message.kind)) throw new WireKindError(header.message.kind);
      if (header.frames.length !== packet.frames.length) {
        throw new WireFormatError(`${packet.frames.length} frames found, ${header.frames.length} announced`);
      }
      const tensors = header.frames.map((spec, index) => frameTensor(spec, packet.frames[index]!));
      return { message: { ...header.message, tensors }, incarnation: header.incarnation };
    },
  };
}

/** A packet's checksum in hexadecimal: a name that sender and receiver both know without another field on the wire. */
export function packetName({ header }: Packet): string {
  const view = new DataView(header.buffer, header.byteOffset + header.byteLength - checksumBytes);
  return view
    .getBigUint64(0)
    .toString(16)
    .padStart(2 * checksumBytes, '0');
}

/** Each frame continues the hash of what is before it. Lengths are in the header, so that bytes cannot move from one frame to the next. */
const hashed = (frames: readonly Uint8Array[], seed: bigint): bigint =>
  frames.reduce((hash, frame) => checksum(frame, hash), seed);

/** The CRC of each frame, little-endian, hashed like one more frame. */
const crcs =
  (crc32: Crc32) =>
  (frames: readonly Uint8Array[], seed: bigint): bigint => {
    const sums = new DataView(new ArrayBuffer(4 * frames.length));
    frames.forEach((frame, index) => sums.setUint32(4 * index, crc32(frame), true));
    return checksum(new Uint8Array(sums.buffer), seed);
  };
