import type { Packet, TroupeError } from '@troupe/core';

type Sent = (error: TroupeError | null) => void;

export interface QueuedPacket {
  readonly packet: Packet;
  readonly bytes: number;
  readonly sent: Sent | undefined;
  /** Life of the sender. */
  readonly life: number;
}

export function packetBytes({ header, frames }: Packet): number {
  let bytes = header.byteLength;
  for (const frame of frames) bytes += frame.byteLength;
  return bytes;
}

/** What a node has to send on one lane of one link: waiting for room in the window, then on the way until it is released. */
export class LaneQueue {
  #waiting: QueuedPacket[] = [];
  #head = 0;
  readonly #onWay = new Set<QueuedPacket>();
  #onWayBytes = 0;
  #waitingBytes = 0;
  /** No packet of this lane arrives before this one did. */
  lastArrivalMs = 0;
  /** The wire is free again. */
  freeAtMs = 0;

  get queuedBytes(): number {
    return this.#waitingBytes + this.#onWayBytes;
  }

  get onWayBytes(): number {
    return this.#onWayBytes;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > this.#head;
  }

  push(queued: QueuedPacket): void {
    this.#waiting.push(queued);
    this.#waitingBytes += queued.bytes;
  }

  /** The next packet that the window admits. */
  take(windowBytes: number): QueuedPacket | undefined {
    const next = this.#waiting[this.#head];
    if (next === undefined || (this.#onWayBytes > 0 && this.#onWayBytes + next.bytes > windowBytes))
      return undefined;
    this.#head++;
    if (this.#head > 64 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    this.#waitingBytes -= next.bytes;
    this.#onWayBytes += next.bytes;
    this.#onWay.add(next);
    return next;
  }

  /** The receiver released it; false when it belonged to an earlier connection. */
  release(queued: QueuedPacket): boolean {
    if (!this.#onWay.delete(queued)) return false;
    this.#onWayBytes -= queued.bytes;
    return true;
  }

  /**
   * Takes out what a life of the sender left, and gives it back, oldest first.
   *
   * @param life - that life and those before it; packets of a later one stay
   */
  clear(life = Number.POSITIVE_INFINITY): readonly QueuedPacket[] {
    const all = [...this.#onWay, ...this.#waiting.slice(this.#head)];
    this.#onWay.clear();
    this.#waiting = [];
    this.#head = 0;
    this.#waitingBytes = 0;
    this.#onWayBytes = 0;
    for (const queued of all) if (queued.life > life) this.push(queued);
    return all.filter((queued) => queued.life <= life);
  }
}
