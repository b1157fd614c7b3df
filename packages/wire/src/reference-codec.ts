import type { Packet } from '@troupe/core';
import type { Codec } from './codec.ts';
import { WireFormatError } from './errors.ts';
import type { Message, ReceivedMessage } from './message.ts';

/** Bytes of a header without its body, and of one entry or frame of it: about what msgpack takes. */
const HEADER_BYTES = 96;
const ENTRY_BYTES = 16;

/** Storage for headers of which only the length counts. */
const blank = new Uint8Array(64 * 1024);

class MessagePacket implements Packet {
  readonly message: ReceivedMessage;
  readonly incarnation: number;
  readonly header: Uint8Array;

  constructor(message: ReceivedMessage, incarnation: number) {
    this.message = message;
    this.incarnation = incarnation;
    const entries = Object.keys(message.body).length + message.tensors.length;
    this.header = blank.subarray(0, HEADER_BYTES + ENTRY_BYTES * entries);
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
    encodeMessage: (message: Message, incarnation: number) => {
      const shapes = message.shapes ?? message.tensors.map((tensor) => [tensor.length]);
      return new MessagePacket({ ...message, shapes }, incarnation);
    },
    decodeMessage: (packet: Packet) => {
      if (!(packet instanceof MessagePacket)) throw new WireFormatError('a packet of another codec found');
      return { message: packet.message, incarnation: packet.incarnation };
    },
  };
}
