import type { Lane, Packet } from '@troupe/core';
import { wireLimits } from '@troupe/wire';
import { OversizeError } from './errors.ts';

export const lanes = ['control', 'data'] as const satisfies readonly Lane[];

/** Bytes a sender may have on the way per (lane, peer), not yet released by the receiver. */
export type CreditBytes = Readonly<Record<Lane, number>>;

/** The data lane holds four frames of 16 MiB, or one of 64 MiB and small ones, with their headers. */
export const defaultCreditBytes: CreditBytes = { control: 4 * 1024 * 1024, data: 65 * 1024 * 1024 };

/** Default size limit of one frame, bytes; ZeroMQ lengths here are 31 bits. */
export const defaultMaxFrameBytes = 1024 * 1024 * 1024;

/** Added to every packet, so that empty ones cost credit too. */
const overheadBytes = 64;

/** What a packet takes from a credit window. */
export function packetBytes(packet: Packet): number {
  let bytes = overheadBytes + packet.header.byteLength;
  for (const frame of packet.frames) bytes += frame.byteLength;
  return bytes;
}

/** @throws {OversizeError} TROUPE_TRANSPORT_OVERSIZE */
export function checkPacket(packet: Packet, maxFrameBytes: number): void {
  const { headerBytesMax, framesMax } = wireLimits;
  const { header, frames } = packet;
  if (header.byteLength > headerBytesMax)
    throw new OversizeError('the header', header.byteLength, headerBytesMax, 'bytes');
  if (frames.length > framesMax) throw new OversizeError('the packet', frames.length, framesMax, 'frames');
  for (const frame of frames) {
    if (frame.byteLength > maxFrameBytes)
      throw new OversizeError('a frame', frame.byteLength, maxFrameBytes, 'bytes');
  }
}
