import { assert, type Lane, type NodeId, type Packet, type PeerEvent } from '@troupe/core';

export type PacketHandler = (from: NodeId, lane: Lane, packet: Packet, release: () => void) => void;

type Arrival =
  | { readonly event: PeerEvent }
  | { readonly from: NodeId; readonly lane: Lane; readonly packet: Packet; readonly release: () => void };

/**
 * The two receivers of a transport. What arrives before `onPacket` is kept in order and given out then, bounded by the senders' credit;
 * so set `onPeer` first.
 */
export class Handlers {
  #packet: PacketHandler | undefined;
  #peer: ((event: PeerEvent) => void) | undefined;
  #early: Arrival[] = [];

  onPacket(handler: PacketHandler): void {
    this.#packet = handler;
    this.#flush();
  }

  onPeer(handler: (event: PeerEvent) => void): void {
    this.#peer = handler;
  }

  peer(event: PeerEvent): void {
    if (this.#packet === undefined) this.#early.push({ event });
    else this.#peer?.(event);
  }

  packet(from: NodeId, lane: Lane, packet: Packet, release: () => void): void {
    if (this.#packet === undefined) this.#early.push({ from, lane, packet, release });
    else this.#packet(from, lane, packet, release);
  }

  #flush(): void {
    const [packet, early] = [this.#packet, this.#early];
    assert(packet !== undefined, 'what came early is given out once there is a receiver');
    this.#early = [];
    for (const arrival of early) {
      if ('event' in arrival) this.#peer?.(arrival.event);
      else packet(arrival.from, arrival.lane, arrival.packet, arrival.release);
    }
  }
}
