import {
  TroupeError,
  type Lane,
  type NodeId,
  type Packet,
  type PeerEvent,
  type Transport,
  type TransportStats,
} from '@troupe/core';
import type { SimProcess } from './process.ts';

export type PacketHandler = Parameters<Transport['onPacket']>[0];
type Sent = NonNullable<Parameters<Transport['send']>[3]>;

/** What a transport asks of its network. */
export interface TransportHost {
  send(from: SimTransport, to: NodeId, lane: Lane, packet: Packet, sent: Sent | undefined): void;
  queuedBytes(from: NodeId, to: NodeId): number;
  leave(transport: SimTransport): void;
}

export const closedError = (node: NodeId): TroupeError =>
  new TroupeError('TROUPE_TRANSPORT_CLOSED', `the transport of node '${node}' is closed`, {
    details: { node },
  });

export const lostError = (node: NodeId, reason: string): TroupeError =>
  new TroupeError(
    'TROUPE_TRANSPORT_PEER_LOST',
    `node '${node}' went away before it took the packet: ${reason}`,
    { retryable: true, details: { node, reason } },
  );

/** The transport of one life of a node. The network does the work; this is what the life holds of it. */
export class SimTransport implements Transport {
  readonly process: SimProcess;
  readonly #network: TransportHost;
  readonly #early: (() => void)[] = [];
  #packet: PacketHandler | null = null;
  #peer: ((event: PeerEvent) => void) | null = null;
  #isOpen = true;
  readonly counts = {
    bytesSent: 0,
    bytesReceived: 0,
    messagesSent: 0,
    messagesReceived: 0,
    packetsRefused: 0,
  };

  constructor(process: SimProcess, network: TransportHost) {
    this.process = process;
    this.#network = network;
  }

  get node(): NodeId {
    return this.process.node;
  }

  get incarnation(): number {
    return this.process.incarnation;
  }

  get isOpen(): boolean {
    return this.#isOpen && this.process.isAlive;
  }

  send(to: NodeId, lane: Lane, packet: Packet, sent?: Sent): void {
    if (!this.#isOpen) throw closedError(this.node);
    this.#network.send(this, to, lane, packet, sent);
  }

  onPacket(handler: PacketHandler): void {
    this.#packet = handler;
    for (const deliver of this.#early.splice(0)) deliver();
  }

  onPeer(handler: (event: PeerEvent) => void): void {
    this.#peer = handler;
  }

  stats(): TransportStats {
    return { ...this.counts };
  }

  queuedBytes(to: NodeId): number {
    return this.#network.queuedBytes(this.node, to);
  }

  async close(_deadlineMs: number): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#network.leave(this);
  }

  /** A packet is here; kept until somebody listens. */
  deliver(from: NodeId, lane: Lane, packet: Packet, release: () => void): void {
    if (this.#packet === null) this.#early.push(() => this.deliver(from, lane, packet, release));
    else if (this.#isOpen) this.#packet(from, lane, packet, release);
  }

  emit(event: PeerEvent): void {
    if (this.#isOpen) this.#peer?.(event);
  }
}
