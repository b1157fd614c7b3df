import type { Packet } from '@troupe/core';

const WORD = Uint32Array.BYTES_PER_ELEMENT;
const PRIME = 0x01000193;
const OFFSET = 0x811c9dc5;

/** One word more; a product alone would keep the sign bits of floats in one bit, where two of them cancel. */
function mixed(sum: number, word: number): number {
  const product = Math.imul(sum ^ word, PRIME);
  return product ^ (product >>> 15);
}

/** A sum over the bytes of a frame in their order, 32 bits: one word that differs always shows. */
export function frameSum(frame: Uint8Array): number {
  let sum = OFFSET;
  let at = 0;
  if (frame.byteOffset % WORD === 0) {
    const words = new Uint32Array(frame.buffer, frame.byteOffset, Math.floor(frame.byteLength / WORD));
    for (const word of words) sum = mixed(sum, word);
    at = words.byteLength;
  }
  for (; at < frame.byteLength; at++) sum = mixed(sum, frame[at] ?? 0);
  return sum;
}

/** What the frames of packets were when they left, for who reads them. */
export class FrameSums {
  readonly #left = new WeakMap<Packet, readonly number[]>();

  left(packet: Packet): void {
    if (packet.frames.length > 0) this.#left.set(packet, packet.frames.map(frameSum));
  }

  /** Positions of frames that are not what they were. */
  changed(packet: Packet): readonly number[] {
    const left = this.#left.get(packet) ?? [];
    return left.flatMap((sum, index) => {
      const frame = packet.frames[index];
      return frame !== undefined && frameSum(frame) !== sum ? [index] : [];
    });
  }
}
