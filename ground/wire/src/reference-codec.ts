import type { Packet } from '@troupe/core';
import type { Codec } from './codec.ts';
import { WireFormatError } from './errors.ts';
import type { Message } from './message.ts';

/** Bytes of a header without its body, and of one entry or frame of it: about what msgpack takes. */
const HEADER_BYTES = 96;
const ENTRY_BYTES = 16;

/** Headers of which only the length counts, by number of entries: views are dear to make. */
const headers = Array.from({ length: 64 }, (_, entries) => blankHeader(entries));

function blankHeader(entries: number): Uint8Array {
  return new Uint8Array(HEADER_BYTES + ENTRY_BYTES * entries);
}

class MessagePacket implements Packet {
  readonly message: Message;
  readonly incarnation: number;
  readonly header: Uint8Array;

  constructor(message: Message, incarnation: number) {
    this.message = message;
    this.incarnation = incarnation;
    let entries = message.tensors.length;
    for (const name in message.body) if (Object.hasOwn(message.body, name)) entries++;
    this.header = headers[entries] ?? blankHeader(entries);
  }

  /** The tensors themselves: only their lengths are looked at. */
  get frames(): readonly Uint8Array[] {
    return this.message.tensors as readonly Uint8Array[];
  }
}

/**
 * A codec that encodes nothing: a packet is its message, with about the length that it would have. For simulations without arithmetic,
 * inside one process, where encoding would be most of the time.
 */
export function createReferenceCodec(): Codec {
  return {
    isReference: true,
    encodeMessage: (message: Message, incarnation: number) => new MessagePacket(message, incarnation),
    decodeMessage: (packet: Packet) => {
      if (!(packet instanceof MessagePacket)) throw new WireFormatError('a packet of another codec found');
      return packet;
    },
  };
}
