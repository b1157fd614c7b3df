import type { Packet, TroupeError } from '@troupe/core';

type Sent = (error: TroupeError | null) => void;

/** What a node has to send, in the queue of one lane: in a list of its own making, since a cluster has thousands of nearly empty queues. */
export class QueuedPacket {
  readonly packet: Packet;
  readonly bytes: number;
  readonly sent: Sent | undefined;
  /** Life of the sender. */
  readonly life: number;
  /** Left, and neither released nor lost. */
  isOnWay = false;
  before: QueuedPacket | null = null;
  after: QueuedPacket | null = null;

  constructor(packet: Packet, bytes: number, sent: Sent | undefined, life: number) {
    this.packet = packet;
    this.bytes = bytes;
    this.sent = sent;
    this.life = life;
  }
}

export function packetBytes({ header, frames }: Packet): number {
  let bytes = header.byteLength;
  // By index: an iterator over frozen and plain lists alike is an object for each packet.
  for (let index = 0; index < frames.length; index++) bytes += frames[index]?.byteLength ?? 0;
  return bytes;
}

/** Packets in order, each of which can be taken out. */
class PacketList {
  first: QueuedPacket | null = null;
  last: QueuedPacket | null = null;
  bytes = 0;

  push(queued: QueuedPacket): void {
    queued.before = this.last;
    queued.after = null;
    if (this.last === null) this.first = queued;
    else this.last.after = queued;
    this.last = queued;
    this.bytes += queued.bytes;
  }

  remove(queued: QueuedPacket): void {
    const { before, after } = queued;
    if (before === null) this.first = after;
    else before.after = after;
    if (after === null) this.last = before;
    else after.before = before;
    queued.before = null;
    queued.after = null;
    this.bytes -= queued.bytes;
  }

  /** Takes out what a life left, and those before it, oldest first; the rest keeps its order. */
  take(life: number): readonly QueuedPacket[] {
    const taken: QueuedPacket[] = [];
    for (let next = this.first; next !== null;) {
      const queued = next;
      next = queued.after;
      if (queued.life > life) continue;
      this.remove(queued);
      taken.push(queued);
    }
    return taken;
  }
}

/** What a node has to send on one lane of one link: waiting for room in the window, then on the way until it is released. */
export class LaneQueue {
  readonly #waiting = new PacketList();
  readonly #onWay = new PacketList();
  /** No packet of this lane arrives before this one did. */
  lastArrivalMs = 0;
  /** The wire is free again. */
  freeAtMs = 0;

  get queuedBytes(): number {
    return this.#waiting.bytes + this.#onWay.bytes;
  }

  get onWayBytes(): number {
    return this.#onWay.bytes;
  }

  get hasWaiting(): boolean {
    return this.#waiting.first !== null;
  }

  push(queued: QueuedPacket): void {
    this.#waiting.push(queued);
  }

  /** The next packet that the window admits. */
  take(windowBytes: number): QueuedPacket | null {
    const next = this.#waiting.first;
    const onWayBytes = this.#onWay.bytes;
    if (next === null || (onWayBytes > 0 && onWayBytes + next.bytes > windowBytes)) return null;
    this.#waiting.remove(next);
    next.isOnWay = true;
    this.#onWay.push(next);
    return next;
  }

  /** The receiver released it; false when it belonged to an earlier connection. */
  release(queued: QueuedPacket): boolean {
    if (!queued.isOnWay) return false;
    queued.isOnWay = false;
    this.#onWay.remove(queued);
    return true;
  }

  /**
   * Takes out what a life of the sender left, and gives it back, oldest first.
   *
   * @param life - that life and those before it; packets of a later one stay where they are: one that wakes as a zombie notices the end of
   * its connection when its successor's packets are on their way
   */
  clear(life = Number.POSITIVE_INFINITY): readonly QueuedPacket[] {
    const taken = [...this.#onWay.take(life), ...this.#waiting.take(life)];
    for (const queued of taken) queued.isOnWay = false;
    return taken;
  }
}
