import {
  assert,
  type Clock,
  type Lane,
  type NodeId,
  type Packet,
  type PeerEvent,
  type Transport,
  type TransportStats,
} from '@troupe/core';
import { AddressInUseError, PeerLostError, TransportClosedError, UnknownPeerError } from './errors.ts';
import {
  checkPacket,
  defaultCreditBytes,
  defaultMaxFrameBytes,
  lanes,
  packetBytes,
  type CreditBytes,
} from './limits.ts';
import { Outbox, type Sent } from './outbox.ts';
import { Handlers, type PacketHandler } from './handlers.ts';

export interface MemoryNetworkOptions {
  /** Runs a function soon, never synchronously, in the order given. Default `setImmediate`. */
  readonly schedule?: (run: () => void) => void;
  /** Counts the deadline of `close`; without it a close waits only for what has credit. */
  readonly clock?: Clock;
  /** Default 4 MiB control, 65 MiB data. */
  readonly creditBytes?: CreditBytes;
  /** Default 1 GiB. */
  readonly maxFrameBytes?: number;
}

export interface MemoryTransport extends Transport {
  /** Dies as a process does: no goodbye, nothing more leaves or arrives. */
  kill(): void;
}

/** Nodes of one process that send each other packets by reference. */
export interface MemoryNetwork {
  /**
   * Attaches a node; a higher incarnation replaces a lower one, a lower one is attached and never heard.
   *
   * @throws {AddressInUseError} TROUPE_TRANSPORT_ADDRESS_IN_USE when the same life is attached already
   */
  connect(node: NodeId, incarnation: number): MemoryTransport;
}

/**
 * The transport inside one process: for embedding, and for tests of whatever sits above.
 *
 * Behaves as the ZeroMQ body does (credits, links that come up lazily, fencing by incarnation) and differs in three things: frames
 * are not copied, so the receiver must not change them; everything happens in one queue; a loss is noticed at once.
 */
export function createMemoryNetwork(options: MemoryNetworkOptions = {}): MemoryNetwork {
  const network = new Network(options);
  return {
    connect: (node, incarnation) => network.connect(node, incarnation),
  };
}

class Network {
  readonly clock: Clock | undefined;
  readonly creditBytes: CreditBytes;
  readonly maxFrameBytes: number;
  readonly #schedule: (run: () => void) => void;
  readonly #nodes = new Map<NodeId, MemoryNode>();
  #tasks: (() => void)[] = [];
  #scheduled = false;

  constructor(options: MemoryNetworkOptions) {
    this.clock = options.clock;
    this.creditBytes = options.creditBytes ?? defaultCreditBytes;
    this.maxFrameBytes = options.maxFrameBytes ?? defaultMaxFrameBytes;
    this.#schedule = options.schedule ?? ((run) => void setImmediate(run));
  }

  connect(node: NodeId, incarnation: number): MemoryNode {
    const created = new MemoryNode(this, node, incarnation);
    const current = this.#nodes.get(node);
    if (current?.open === true && current.incarnation === incarnation) {
      throw new AddressInUseError(`memory://${node} incarnation ${incarnation}`);
    }
    if (current !== undefined && current.incarnation > incarnation) return created;
    this.#nodes.set(node, created);
    if (current?.open === true) current.unlinkAll(`replaced by incarnation ${incarnation}`);
    for (const other of this.#nodes.values()) other.pump(node);
    return created;
  }

  /** The node's latest life, alive or not. */
  find(node: NodeId): MemoryNode | undefined {
    return this.#nodes.get(node);
  }

  /** One queue for everything, so what is caused first happens first. */
  later(task: () => void): void {
    this.#tasks.push(task);
    this.#arm();
  }

  #arm(): void {
    if (this.#scheduled || this.#tasks.length === 0) return;
    this.#scheduled = true;
    this.#schedule(() => this.#drain());
  }

  /** A task that throws is a fatal handler; the tasks behind it are kept. */
  #drain(): void {
    const tasks = this.#tasks;
    this.#tasks = [];
    this.#scheduled = false;
    let done = 0;
    try {
      for (; done < tasks.length; done++) tasks[done]!();
    } finally {
      if (done < tasks.length) this.#tasks = [...tasks.slice(done + 1), ...this.#tasks];
      this.#arm();
    }
  }
}

/** What a node knows of one other node. */
interface Link {
  readonly outboxes: Readonly<Record<Lane, Outbox>>;
  /** The other end while the link is up. */
  up: MemoryNode | undefined;
  /** Packets of this life that have arrived from the other end. */
  readonly arrived: Record<Lane, number>;
  /** Changes with every loss, so that credits of an earlier life are not taken for this one's. */
  generation: number;
}

class MemoryNode implements MemoryTransport {
  readonly node: NodeId;
  readonly incarnation: number;
  open = true;
  readonly #network: Network;
  readonly #links = new Map<NodeId, Link>();
  readonly #handlers = new Handlers();
  readonly #stats = {
    bytesSent: 0,
    bytesReceived: 0,
    messagesSent: 0,
    messagesReceived: 0,
    packetsRefused: 0,
  };
  #closing: Promise<void> | undefined;
  #onProgress: (() => void) | undefined;

  constructor(network: Network, node: NodeId, incarnation: number) {
    this.#network = network;
    this.node = node;
    this.incarnation = incarnation;
  }

  send(to: NodeId, lane: Lane, packet: Packet, sent?: Sent): void {
    if (!this.open || this.#closing !== undefined) throw new TransportClosedError(this.node);
    if (this.#network.find(to) === undefined) throw new UnknownPeerError(to);
    checkPacket(packet, this.#network.maxFrameBytes);
    this.#link(to).outboxes[lane].push(packet, sent);
    this.pump(to);
  }

  onPacket(handler: PacketHandler): void {
    this.#handlers.onPacket(handler);
  }

  onPeer(handler: (event: PeerEvent) => void): void {
    this.#handlers.onPeer(handler);
  }

  stats(): TransportStats {
    return { ...this.#stats };
  }

  queuedBytes(to: NodeId): number {
    const link = this.#links.get(to);
    return link === undefined ? 0 : link.outboxes.control.queuedBytes + link.outboxes.data.queuedBytes;
  }

  kill(): void {
    if (!this.open) return;
    this.unlinkAll('killed');
    this.#end();
  }

  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.open ? this.#leave(deadlineMs) : Promise.resolve();
    return this.#closing;
  }

  async #leave(deadlineMs: number): Promise<void> {
    const { clock } = this.#network;
    const waits = (): boolean =>
      [...this.#links.values()].some(
        (link) => link.up !== undefined && lanes.some((lane) => link.outboxes[lane].hasWaiting),
      );
    if (clock !== undefined && waits()) {
      await new Promise<void>((resolve) => {
        const timer = clock.after(deadlineMs, resolve);
        this.#onProgress = () => {
          if (this.open && waits()) return;
          clock.cancel(timer);
          resolve();
        };
      });
    }
    if (!this.open) return;
    await new Promise<void>((resolve) => this.#network.later(resolve));
    for (const link of this.#links.values()) {
      const other = link.up;
      if (other !== undefined) this.#network.later(() => other.onGone(this, 'goodbye'));
    }
    this.#end();
  }

  /** Hands packets with credit to the receiver, if it lives. */
  pump(to: NodeId): void {
    const link = this.#links.get(to);
    const target = this.#network.find(to);
    if (link === undefined || !this.open || target?.open !== true) return;
    const stale = this.#network.find(this.node) !== this;
    if (link.up !== target && !stale && !this.#connect(link, target)) return;
    for (const lane of lanes) {
      const outbox = link.outboxes[lane];
      for (let seq = outbox.nextSeq, packet = outbox.take(); packet !== undefined; packet = outbox.take()) {
        const [number, taken, generation] = [seq++, packet, link.generation];
        this.#stats.messagesSent++;
        this.#stats.bytesSent += packetBytes(taken);
        this.#network.later(() => target.#deliver(this, generation, lane, number, taken));
      }
    }
  }

  /** The links of this life end; its peers notice before anything of a later life reaches them. */
  unlinkAll(reason: string): void {
    for (const link of this.#links.values()) {
      const other = link.up;
      if (other === undefined) continue;
      this.#network.later(() => other.onGone(this, reason));
    }
  }

  /** The other end of a link said goodbye or is gone. */
  onGone(from: MemoryNode, reason: string): void {
    const link = this.#links.get(from.node);
    if (!this.open || link?.up !== from) return;
    link.up = undefined;
    link.generation++;
    const { node, incarnation } = from;
    const tell = lanes.map((lane) => link.outboxes[lane].clear());
    this.#emit(
      reason === 'goodbye'
        ? { type: 'peer.goodbye', node, incarnation }
        : { type: 'peer.lost', node, incarnation, reason },
    );
    for (const fail of tell) fail(new PeerLostError(node, reason));
    this.#onProgress?.();
    this.pump(node);
    this.#network.find(node)?.pump(this.node);
  }

  /** Brings a link up when there is something to send, unless either end has yet to notice the loss of an earlier life. */
  #connect(link: Link, target: MemoryNode): boolean {
    if (!lanes.some((lane) => link.outboxes[lane].hasWaiting)) return false;
    const back = target.#link(this.node);
    if (link.up !== undefined || back.up !== undefined) return false;
    for (const end of [link, back]) {
      for (const lane of lanes) {
        const { nextSeq } = end.outboxes[lane];
        assert(nextSeq === 0, 'packets of a new life are numbered from 0 (TRA-1)', { lane, nextSeq });
        end.arrived[lane] = 0;
      }
    }
    link.up = target;
    back.up = this;
    this.#network.later(() =>
      target.#emit({ type: 'peer.up', node: this.node, incarnation: this.incarnation }),
    );
    this.#network.later(() =>
      this.#emit({ type: 'peer.up', node: target.node, incarnation: target.incarnation }),
    );
    this.#network.later(() => target.pump(this.node));
    return true;
  }

  #deliver(from: MemoryNode, generation: number, lane: Lane, seq: number, packet: Packet): void {
    if (!this.open) return;
    const link = this.#links.get(from.node);
    if (link?.up !== from) {
      this.#stats.packetsRefused++;
      return;
    }
    const expected = link.arrived[lane]++;
    assert(seq === expected, 'packets arrive in order and none is missing (TRA-1)');
    this.#stats.messagesReceived++;
    this.#stats.bytesReceived += packetBytes(packet);
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.#network.later(() => from.#onReleased(this.node, generation, lane, seq));
    };
    this.#guard(() => this.#handlers.packet(from.node, lane, packet, release));
  }

  #onReleased(by: NodeId, generation: number, lane: Lane, seq: number): void {
    const link = this.#links.get(by);
    if (!this.open || link === undefined || link.generation !== generation) return;
    assert(link.outboxes[lane].acknowledge(seq), 'only a packet that is on the way is released', {
      seq,
      lane,
    });
    this.pump(by);
    this.#onProgress?.();
  }

  #emit(event: PeerEvent): void {
    if (this.open) this.#guard(() => this.#handlers.peer(event));
  }

  /** A handler that throws ends the transport; the error passes to the scheduler's caller. */
  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.kill();
      throw error;
    }
  }

  #end(): void {
    this.open = false;
    for (const link of this.#links.values()) {
      link.up = undefined;
      for (const lane of lanes) link.outboxes[lane].clear()(new TransportClosedError(this.node));
    }
    this.#onProgress?.();
  }

  #link(to: NodeId): Link {
    let link = this.#links.get(to);
    if (link === undefined) {
      const { control, data } = this.#network.creditBytes;
      link = {
        outboxes: { control: new Outbox(control), data: new Outbox(data) },
        up: undefined,
        arrived: { control: 0, data: 0 },
        generation: 0,
      };
      this.#links.set(to, link);
    }
    return link;
  }
}
