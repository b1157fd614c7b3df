import { assert, type Lane, type NodeId, type Packet, type PeerEvent } from '@troupe/core';
import type { PacketSeen } from './checkers/checker.ts';
import { LaneQueue, type QueuedPacket } from './lane-queue.ts';
import { travelMs, type LinkModel } from './link-model.ts';
import type { VirtualClock } from './virtual-clock.ts';
import { lostError, type SimTransport } from './transport.ts';

const lanes: readonly Lane[] = ['control', 'data'];

/** What happens to the next packet of a direction. */
export type PacketFault = 'drop' | 'duplicate' | 'corrupt';

/** A packet that is about to be read. */
export interface Arrival extends PacketSeen {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly lane: Lane;
  /** Its link is slow now. */
  readonly isImpeded: boolean;
}

/** What a link asks of its network. */
export interface LinkHost {
  readonly clock: VirtualClock;
  modelOf(from: NodeId, to: NodeId): LinkModel;
  /** The life of a node that is heard, if it lives. */
  current(node: NodeId): SimTransport | undefined;
  /** Life number of the latest life of a node; `otherwise` where there was none. */
  latestLife(node: NodeId, otherwise: number): number;
  /** The next uniform number; a field, since it is passed on. */
  readonly draw: () => number;
  leaving(packet: Packet, from: NodeId, to: NodeId): Packet;
  arrived(packet: Packet, arrival: Arrival): Packet;
  /** How often a packet is read: 1, unless a bug is planted. */
  copies(packet: Packet, isImpeded: boolean): number;
  note(node: NodeId, text: string): void;
}

/** One direction of a link. */
class Direction {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly lanes: Readonly<Record<Lane, LaneQueue>> = { control: new LaneQueue(), data: new LaneQueue() };
  readonly model: LinkModel;
  latencyFactor = 1;
  bandwidthFactor = 1;
  /** Partitions in force. */
  blocks = 0;
  nextFault: PacketFault | null = null;
  /** Since a packet went missing nothing is delivered any more. */
  isBroken = false;

  constructor(from: NodeId, to: NodeId, model: LinkModel) {
    this.from = from;
    this.to = to;
    this.model = model;
  }
}

/**
 * The connection between two nodes, as the ZeroMQ body keeps one: it comes up when there is something to send, carries packets in
 * order by lane, and ends as a whole.
 *
 * LNK-1: packets of one lane and direction arrive whole, once and in order, or the connection is lost at both ends. LNK-2: peers see
 * `up`, then `lost` or `goodbye`, then `up` of the next connection; no packet comes before its `up`. LNK-3: after a loss nothing of
 * the old connection is delivered, and every packet's `sent` is called with TROUPE_TRANSPORT_PEER_LOST.
 */
export class SimLink {
  readonly #network: LinkHost;
  readonly #directions: readonly [Direction, Direction];
  /** The lives at both ends while it is up. */
  #ends: readonly [SimTransport, SimTransport] | null = null;
  #isOpening = false;
  /** Counts connections, so that what is on the way can tell its own from a later one. */
  #generation = 0;
  /** Lives that have yet to notice the end of the last connection. */
  #numNoticing = 0;

  constructor(network: LinkHost, a: NodeId, b: NodeId) {
    this.#network = network;
    this.#directions = [
      new Direction(a, b, network.modelOf(a, b)),
      new Direction(b, a, network.modelOf(b, a)),
    ];
  }

  get isUp(): boolean {
    return this.#ends !== null;
  }

  get ends(): readonly SimTransport[] {
    return this.#ends ?? [];
  }

  direction(from: NodeId): Direction {
    const [there, back] = this.#directions;
    if (there.from === from) return there;
    assert(back.from === from, 'a link has two ends', { from });
    return back;
  }

  send(from: NodeId, lane: Lane, queued: QueuedPacket): void {
    const direction = this.direction(from);
    direction.lanes[lane].push(queued);
    // Everything else that the windows admit went when it came.
    if (this.isUp) this.#pumpLane(direction, lane);
    else this.pump();
  }

  /** A life of a node is over: what it queued is nobody's, also where no connection stood. */
  forget(node: NodeId, life: number): void {
    if (this.isUp) return;
    for (const lane of lanes) this.direction(node).lanes[lane].clear(life);
  }

  queuedBytes(from: NodeId): number {
    const { control, data } = this.direction(from).lanes;
    return control.queuedBytes + data.queuedBytes;
  }

  /** Connects when there is something to send, and lets go what the windows admit. */
  pump(): void {
    const { clock } = this.#network;
    const directions = this.#directions;
    if (this.#ends === null) {
      const hasWork = directions.some(({ lanes: queues }) => lanes.some((lane) => queues[lane].hasWaiting));
      if (!hasWork || this.#isOpening || this.#numNoticing > 0) return;
      const [a, b] = directions.map(({ from }) => this.#network.current(from));
      if (a === undefined || b === undefined || directions.some(({ blocks }) => blocks > 0)) return;
      if (a.process.isHanging || b.process.isHanging) return;
      this.#isOpening = true;
      const roundTripMs = directions.reduce((sum, { model }) => sum + model.latencyMs, 0);
      clock.after(roundTripMs, () => this.#open(a, b));
      return;
    }
    for (const direction of directions) for (const lane of lanes) this.#pumpLane(direction, lane);
  }

  #pumpLane(direction: Direction, lane: Lane): void {
    if (direction.blocks > 0 || direction.isBroken) return;
    const queue = direction.lanes[lane];
    const windowBytes = direction.model.windowBytes[lane];
    for (let queued = queue.take(windowBytes); queued !== null; queued = queue.take(windowBytes))
      this.#depart(direction, lane, queued);
  }

  /** Nothing passes in one direction until `unblock`; a connection that stays silent too long is lost. */
  block(from: NodeId): void {
    const direction = this.direction(from);
    direction.blocks++;
    const generation = this.#generation;
    const { silenceMs } = direction.model;
    this.#network.clock.after(silenceMs, () => {
      if (direction.blocks > 0 && this.#generation === generation)
        this.lose(`no heartbeat for ${silenceMs} ms`);
    });
  }

  unblock(from: NodeId): void {
    this.direction(from).blocks--;
    this.pump();
  }

  /** Ends the connection. Ends that live see it after `noticeMs`; what was on the way is gone. */
  lose(reason: string, event: 'peer.lost' | 'peer.goodbye' = 'peer.lost', noticeMs = 0): void {
    const ends = this.#ends;
    if (ends === null) return;
    this.#ends = null;
    this.#generation++;
    const [a, b] = ends;
    for (const [self, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const direction = this.direction(self.node);
      direction.isBroken = false;
      const queues = lanes.map((lane) => direction.lanes[lane]);
      if (!self.isOpen) {
        // A dead life's packets are nobody's.
        for (const queue of queues) queue.clear(self.incarnation);
        continue;
      }
      this.#numNoticing++;
      this.#network.clock.after(noticeMs, () => {
        this.#numNoticing--;
        self.process.run(() => {
          const failed = queues.flatMap((queue) => queue.clear(self.incarnation));
          const peer = { node: other.node, incarnation: other.incarnation };
          this.#tell(
            self,
            event === 'peer.lost' ? { type: event, ...peer, reason } : { type: event, ...peer },
          );
          for (const { sent } of failed) sent?.(lostError(other.node, reason));
        });
        this.pump();
      });
    }
  }

  #open(a: SimTransport, b: SimTransport): void {
    this.#isOpening = false;
    const isPossible =
      this.#network.current(a.node) === a &&
      this.#network.current(b.node) === b &&
      this.#directions.every(({ blocks }) => blocks === 0);
    if (!isPossible) {
      this.pump();
      return;
    }
    this.#ends = [a, b];
    this.#generation++;
    for (const [self, other] of [
      [a, b],
      [b, a],
    ] as const)
      self.process.run(() =>
        this.#tell(self, { type: 'peer.up', node: other.node, incarnation: other.incarnation }),
      );
    this.pump();
  }

  #depart(direction: Direction, lane: Lane, queued: QueuedPacket): void {
    const { clock } = this.#network;
    const { model, latencyFactor, bandwidthFactor } = direction;
    const queue = direction.lanes[lane];
    const fault = direction.nextFault;
    direction.nextFault = null;
    const startMs = Math.max(clock.now(), queue.freeAtMs);
    const endMs = startMs + (queued.bytes / model.bytesPerMs) * bandwidthFactor;
    queue.freeAtMs = endMs;
    const atMs = Math.max(endMs + travelMs(model, this.#network.draw) * latencyFactor, queue.lastArrivalMs);
    queue.lastArrivalMs = atMs;
    const generation = this.#generation;
    const packet = this.#network.leaving(queued.packet, direction.from, direction.to);
    clock.after(atMs - clock.now(), () => {
      if (generation !== this.#generation || direction.isBroken) return;
      if (fault !== null && fault !== 'duplicate') this.#break(direction, fault, generation);
      else this.#arrive(direction, lane, queued, packet, fault);
    });
  }

  /** A packet is missing or damaged: nothing behind it counts, and the receiver ends the connection. */
  #break(direction: Direction, fault: PacketFault, generation: number): void {
    direction.isBroken = true;
    const receiver = this.#ends?.find(({ node }) => node === direction.to);
    if (fault === 'corrupt' && receiver !== undefined) receiver.counts.packetsRefused++;
    // A damaged packet shows itself; a missing one is noticed when the sender's heartbeat comes with a later number.
    const noticeMs = fault === 'corrupt' ? 0 : direction.model.retransmitMs;
    this.#network.clock.after(noticeMs, () => {
      if (generation === this.#generation)
        this.lose(fault === 'corrupt' ? 'a packet was damaged' : 'a packet is missing');
    });
  }

  #arrive(
    direction: Direction,
    lane: Lane,
    queued: QueuedPacket,
    packet: Packet,
    fault: PacketFault | null,
  ): void {
    const ends = this.#ends;
    if (ends === null) return;
    const receiver = ends[0].node === direction.from ? ends[1] : ends[0];
    if (receiver.process.isReady) {
      this.#read(ends, direction, lane, queued, packet, fault);
      return;
    }
    const generation = this.#generation;
    receiver.process.run(() => {
      // It may have hung while the connection was lost.
      if (generation === this.#generation) this.#read(ends, direction, lane, queued, packet, fault);
    });
  }

  #read(
    ends: readonly [SimTransport, SimTransport],
    direction: Direction,
    lane: Lane,
    queued: QueuedPacket,
    packet: Packet,
    fault: PacketFault | null,
  ): void {
    const { from } = direction;
    const [sender, receiver] = ends[0].node === from ? ends : [ends[1], ends[0]];
    const generation = this.#generation;
    const { bytes, life, sent } = queued;
    const queue = direction.lanes[lane];
    const isImpeded = direction.latencyFactor > 1;
    receiver.counts.messagesReceived++;
    receiver.counts.bytesReceived += bytes;
    const read = this.#network.arrived(packet, {
      type: 'packet',
      atMs: this.#network.clock.now(),
      from,
      fromLife: life,
      currentLife: this.#network.latestLife(from, life),
      to: receiver.node,
      lane,
      bytes,
      onWayBytes: queue.onWayBytes,
      windowBytes: direction.model.windowBytes[lane],
      isImpeded,
    });
    const release = (): void => {
      if (generation !== this.#generation || !queue.release(queued)) return;
      if (sent !== undefined) sender.process.run(() => sent(null));
      this.#pumpLane(direction, lane);
    };
    receiver.deliver(from, lane, read, release);
    for (let copy = this.#network.copies(packet, isImpeded); copy > 1; copy--)
      receiver.deliver(from, lane, read, () => {});
    if (fault === 'duplicate') this.lose('a packet came twice');
  }

  #tell(self: SimTransport, event: PeerEvent): void {
    this.#network.note(self.node, `${event.type} ${event.node}#${event.incarnation}`);
    self.emit(event);
  }
}
