import {
  assert,
  prng,
  type Lane,
  type NodeId,
  type Packet,
  type PeerEvent,
  type Prng,
  type Transport,
  type TransportStats,
} from '@troupe/core';
import type { Trace } from './trace.ts';
import type { VirtualClock } from './virtual-clock.ts';

export interface NetworkOptions {
  readonly seed: number;
  /** Least time of a packet on its way, milliseconds. Default 0.1. */
  readonly latencyMs?: number;
  /** Largest addition to it, drawn for every packet, milliseconds. Default 0.1. */
  readonly jitterMs?: number;
  /** Bytes a millisecond of one direction of one pair of nodes. Default 1.5e6 (1.5 GB/s). */
  readonly bytesPerMs?: number;
  /** Sees and may replace a packet before it leaves: how a test alters one message. */
  readonly alter?: (packet: Packet, from: NodeId, to: NodeId) => Packet;
}

type PacketHandler = Parameters<Transport['onPacket']>[0];

/**
 * Nodes of a simulated network: packets take latency plus size over bandwidth, in order per lane and pair. No faults yet.
 *
 * Frames are copied as a socket would, so that a sender that reuses a buffer too early is found out.
 */
export class SimNetwork {
  readonly #clock: VirtualClock;
  readonly #trace: Trace;
  readonly #options: Required<Omit<NetworkOptions, 'alter'>> & Pick<NetworkOptions, 'alter'>;
  readonly #nodes = new Map<NodeId, SimTransport>();
  /** When the last packet of a lane and pair arrives: the next one is not earlier. */
  readonly #arrivals = new Map<string, number>();
  readonly #draws: Prng;
  #numDraws = 0;

  constructor(clock: VirtualClock, trace: Trace, options: NetworkOptions) {
    this.#clock = clock;
    this.#trace = trace;
    this.#options = { latencyMs: 0.1, jitterMs: 0.1, bytesPerMs: 1.5e6, ...options };
    this.#draws = prng({ seed: options.seed, purpose: 'sim.latency' });
  }

  connect(node: NodeId): Transport {
    assert(!this.#nodes.has(node), 'a node connects once', { node });
    const transport = new SimTransport(node, (to, lane, packet, sent) =>
      this.#carry({ from: node, to, lane }, packet, sent),
    );
    this.#nodes.set(node, transport);
    return transport;
  }

  #carry(
    link: { readonly from: NodeId; readonly to: NodeId; readonly lane: Lane },
    original: Packet,
    sent: () => void,
  ): void {
    const { from, to, lane } = link;
    const { latencyMs, jitterMs, bytesPerMs, alter } = this.#options;
    const packet = alter === undefined ? original : alter(original, from, to);
    const size = packet.frames.reduce((sum, frame) => sum + frame.byteLength, packet.header.byteLength);
    const key = `${lane} ${from} ${to}`;
    const travelMs = latencyMs + this.#draws.uniform(this.#numDraws++) * jitterMs + size / bytesPerMs;
    const atMs = Math.max(this.#clock.now() + travelMs, this.#arrivals.get(key) ?? 0);
    this.#arrivals.set(key, atMs);
    const copy = { header: packet.header.slice(), frames: packet.frames.map((frame) => frame.slice()) };
    this.#clock.after(atMs - this.#clock.now(), () => {
      this.#trace.packet(this.#clock.now(), from, to, copy);
      this.#nodes.get(to)?.deliver(from, lane, copy);
      sent();
    });
  }
}

class SimTransport implements Transport {
  readonly node: NodeId;
  readonly incarnation = 1;
  readonly #carry: (to: NodeId, lane: Lane, packet: Packet, sent: () => void) => void;
  #handler: PacketHandler | null = null;
  #stats = { bytesSent: 0, bytesReceived: 0, messagesSent: 0, messagesReceived: 0, packetsRefused: 0 };
  readonly #queued = new Map<NodeId, number>();

  constructor(node: NodeId, carry: (to: NodeId, lane: Lane, packet: Packet, sent: () => void) => void) {
    this.node = node;
    this.#carry = carry;
  }

  send(to: NodeId, lane: Lane, packet: Packet, sent?: (error: null) => void): void {
    const size = packet.frames.reduce((sum, frame) => sum + frame.byteLength, packet.header.byteLength);
    this.#stats.bytesSent += size;
    this.#stats.messagesSent++;
    this.#queued.set(to, this.queuedBytes(to) + size);
    this.#carry(to, lane, packet, () => {
      this.#queued.set(to, this.queuedBytes(to) - size);
      sent?.(null);
    });
  }

  deliver(from: NodeId, lane: Lane, packet: Packet): void {
    this.#stats.messagesReceived++;
    this.#stats.bytesReceived += packet.frames.reduce(
      (sum, frame) => sum + frame.byteLength,
      packet.header.byteLength,
    );
    this.#handler?.(from, lane, packet, () => {});
  }

  onPacket(handler: PacketHandler): void {
    this.#handler = handler;
  }

  onPeer(_handler: (event: PeerEvent) => void): void {
    // Peers of this network neither come nor go: faults are not built yet.
  }

  stats(): TransportStats {
    return { ...this.#stats };
  }

  queuedBytes(to: NodeId): number {
    return this.#queued.get(to) ?? 0;
  }

  async close(): Promise<void> {
    this.#handler = null;
  }
}
