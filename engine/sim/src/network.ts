import {
  assert,
  prng,
  TroupeError,
  type Lane,
  type NodeId,
  type Packet,
  type Prng,
  type Transport,
} from '@troupe/core';
import { packetBytes, QueuedPacket } from './lane-queue.ts';
import { FrameSums } from './frame-sums.ts';
import { SimLink, type Arrival, type LinkHost, type PacketFault } from './link.ts';
import { defaultLink, type LinkModel } from './link-model.ts';
import type { SimProcess } from './process.ts';
import type { Trace } from './trace.ts';
import { closedError, SimTransport, type TransportHost } from './transport.ts';
import type { VirtualClock } from './virtual-clock.ts';

const unchanged: readonly ArrayBufferLike[] = [];

export interface NetworkOptions {
  readonly seed: number;
  /** The model of one direction of a pair of nodes, over {@link defaultLink}. Default: the same for all. */
  readonly link?: Partial<LinkModel> | ((from: NodeId, to: NodeId) => Partial<LinkModel>);
  /** Sees and may replace a packet before it leaves: how a test alters one message. */
  readonly alter?: (packet: Packet, from: NodeId, to: NodeId) => Packet;
  /** Sees every packet that is about to be read. */
  readonly arrived?: (packet: Packet, arrival: Arrival, changed: readonly ArrayBufferLike[]) => void;
  /** False: bytes are not copied on their way, for devices without arithmetic. Default true. */
  readonly copies?: boolean;
  /** What a planted bug breaks; never set by a run. */
  readonly plant?: NetworkPlant;
}

export interface NetworkPlant {
  /** Whether the sender writes into the frames of a packet before it is read. `isImpeded`: while its link is slow. */
  readonly reuses?: (packet: Packet, isImpeded: boolean) => boolean;
  /** False: packets of replaced lives arrive. */
  readonly fencing?: boolean;
  /** How often a packet is read. `isImpeded`: while its link is slow. */
  readonly copies?: (packet: Packet, isImpeded: boolean) => number;
}

/**
 * The simulated network: what every node sends, over links with latency, bandwidth and windows, and with faults.
 *
 * NET-1: frames are read when they arrive, the last moment that the port allows, so that a sender that reuses a buffer before `sent` is
 * found out. NET-2: all draws come from the seed, in the order of departures.
 */
export class SimNetwork implements LinkHost, TransportHost {
  readonly clock: VirtualClock;
  readonly #trace: Trace;
  readonly #sums = new FrameSums();
  readonly #options: NetworkOptions;
  /** The latest life of every node. */
  readonly #nodes = new Map<NodeId, SimTransport>();
  /** Whole models by what the options say: a cluster has few, and links by the hundred thousand. */
  readonly #models = new WeakMap<Partial<LinkModel>, LinkModel>();
  readonly #links = new Map<NodeId, Map<NodeId, SimLink>>();
  readonly #draws: Prng;
  #numDraws = 0;

  constructor(clock: VirtualClock, trace: Trace, options: NetworkOptions) {
    this.clock = clock;
    this.#trace = trace;
    this.#options = options;
    this.#draws = prng({ seed: options.seed, purpose: 'sim.network' });
  }

  /** Attaches a life. A higher incarnation replaces a lower one; a lower one is attached and never heard. */
  connect(process: SimProcess): Transport {
    const known = this.#nodes.get(process.node);
    assert(known === undefined || known.incarnation !== process.incarnation, 'a life connects once', {
      node: process.node,
      incarnation: process.incarnation,
    });
    const transport = new SimTransport(process, this);
    if (known !== undefined && known.incarnation > process.incarnation) return transport;
    this.#nodes.set(process.node, transport);
    for (const link of this.#linksOf(process.node)) {
      link.lose(`replaced by incarnation ${process.incarnation}`);
      link.forget(process.node, process.incarnation - 1);
      link.pump();
    }
    return transport;
  }

  /** The life of a node that is heard, if it lives. */
  current(node: NodeId): SimTransport | undefined {
    const transport = this.#nodes.get(node);
    return transport?.isOpen === true ? transport : undefined;
  }

  send(
    from: SimTransport,
    to: NodeId,
    lane: Lane,
    packet: Packet,
    sent: ((error: TroupeError | null) => void) | undefined,
  ): void {
    if (!from.process.isAlive) throw closedError(from.node);
    const target = this.#nodes.get(to);
    if (target === undefined)
      throw new TroupeError('TROUPE_TRANSPORT_UNKNOWN_PEER', `no node is named '${to}'`, {
        details: { node: to },
      });
    const bytes = packetBytes(packet);
    if (this.#nodes.get(from.node) !== from && this.#options.plant?.fencing !== false) {
      target.counts.packetsRefused++;
      return;
    }
    from.counts.bytesSent += bytes;
    from.counts.messagesSent++;
    this.#link(from.node, to).send(from.node, lane, new QueuedPacket(packet, bytes, sent, from.incarnation));
  }

  queuedBytes(from: NodeId, to: NodeId): number {
    return this.#links.get(from)?.get(to)?.queuedBytes(from) ?? 0;
  }

  /** A node closes in order: peers see a goodbye. */
  leave(transport: SimTransport): void {
    for (const link of this.#linksOf(transport.node))
      if (link.ends.includes(transport)) link.lose('goodbye', 'peer.goodbye');
  }

  /** A process died: peers notice after `noticeMs`, or when the connection was silent too long. */
  died(process: SimProcess, notice: 'closed' | 'silent'): void {
    for (const link of this.#linksOf(process.node)) {
      if (!link.ends.some((end) => end.process === process)) continue;
      const { latencyMs, silenceMs } = link.direction(process.node).model;
      if (notice === 'closed') link.lose('the connection was closed', 'peer.lost', latencyMs);
      else link.lose(`no heartbeat for ${silenceMs} ms`, 'peer.lost', silenceMs);
    }
  }

  /** A process stands still: connections that stay silent too long are lost. */
  hangs(process: SimProcess, forMs: number): void {
    for (const link of this.#linksOf(process.node)) {
      const { silenceMs } = link.direction(process.node).model;
      const ends = link.ends;
      if (forMs < silenceMs || !ends.some((end) => end.process === process)) continue;
      this.clock.after(silenceMs, () => {
        if (process.isHanging && link.ends[0] === ends[0] && link.ends[1] === ends[1])
          link.lose(`no heartbeat for ${silenceMs} ms`);
      });
    }
    this.clock.after(forMs, () => {
      for (const link of this.#linksOf(process.node)) link.pump();
    });
  }

  /** Nothing passes from one node to another for a while. */
  partition(from: NodeId, to: NodeId, forMs: number): void {
    const link = this.#link(from, to);
    link.block(from);
    this.clock.after(forMs, () => link.unblock(from));
  }

  /** Packets from one node to another take longer for a while. */
  impede(from: NodeId, to: NodeId, what: 'latency' | 'bandwidth', factor: number, forMs: number): void {
    const direction = this.#link(from, to).direction(from);
    const key = what === 'latency' ? 'latencyFactor' : 'bandwidthFactor';
    direction[key] *= factor;
    this.clock.after(forMs, () => {
      direction[key] /= factor;
    });
  }

  /** Something happens to the next packet from one node to another. */
  mar(from: NodeId, to: NodeId, fault: PacketFault): void {
    this.#link(from, to).direction(from).nextFault = fault;
  }

  /** Nodes that have ever had a link with this one. */
  peersOf(node: NodeId): readonly NodeId[] {
    return [...(this.#links.get(node)?.keys() ?? [])];
  }

  modelOf(from: NodeId, to: NodeId): LinkModel {
    const { link = {} } = this.#options;
    const partial = typeof link === 'function' ? link(from, to) : link;
    let model = this.#models.get(partial);
    if (model === undefined) {
      model = { ...defaultLink, ...partial };
      this.#models.set(partial, model);
    }
    return model;
  }

  readonly draw = (): number => this.#draws.uniform(this.#numDraws++);

  latestLife(node: NodeId, otherwise: number): number {
    return this.#nodes.get(node)?.incarnation ?? otherwise;
  }

  note(node: NodeId, text: string): void {
    this.#trace.note({ atMs: this.clock.now(), node, text });
  }

  /** A packet as it leaves. */
  leaving(packet: Packet, from: NodeId, to: NodeId): Packet {
    const leaving = this.#options.alter?.(packet, from, to) ?? packet;
    if (this.#options.copies !== false) this.#sums.left(leaving);
    return leaving;
  }

  copies(packet: Packet, isImpeded: boolean): number {
    return this.#options.plant?.copies?.(packet, isImpeded) ?? 1;
  }

  /** A packet as it is read. */
  arrived(packet: Packet, arrival: Arrival): Packet {
    const copies = this.#options.copies !== false;
    if (this.#options.plant?.reuses?.(packet, arrival.isImpeded) === true)
      for (const frame of packet.frames) frame[0] = (frame[0] ?? 0) ^ 1;
    this.#trace.packet(arrival.atMs, arrival.from, arrival.to, packet, copies);
    if (!copies) {
      this.#options.arrived?.(packet, arrival, unchanged);
      return packet;
    }
    const frames = packet.frames.map((frame) => frame.slice());
    const changed = this.#sums.changed(packet).flatMap((index) => frames[index]?.buffer ?? []);
    this.#options.arrived?.(packet, arrival, changed);
    return { header: packet.header.slice(), frames };
  }

  #linksOf(node: NodeId): readonly SimLink[] {
    return [...(this.#links.get(node)?.values() ?? [])];
  }

  #link(a: NodeId, b: NodeId): SimLink {
    const found = this.#links.get(a)?.get(b);
    if (found !== undefined) return found;
    const link = new SimLink(this, a, b);
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const links = this.#links.get(from) ?? new Map<NodeId, SimLink>();
      links.set(to, link);
      this.#links.set(from, links);
    }
    return link;
  }
}
