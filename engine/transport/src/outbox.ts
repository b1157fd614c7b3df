import { assert, type Packet, type TroupeError } from '@troupe/core';
import { packetBytes } from './limits.ts';

export type Sent = (error: TroupeError | null) => void;

interface Entry {
  readonly packet: Packet;
  readonly bytes: number;
  readonly sent: Sent | undefined;
}

/**
 * What one node has for one lane of one peer: packets that wait for credit, and packets on the way that hold credit.
 *
 * `OUT-1`: packets are taken in the order they came, numbered from 0. `OUT-2`: bytes on the way never exceed the window, except
 * that a packet larger than it enters an empty one. `OUT-3`: `sent` is called exactly once for every packet.
 */
export class Outbox {
  /** Bytes that may be on the way; what the receiver announced. */
  windowBytes: number;
  #waiting: Entry[] = [];
  #head = 0;
  #onTheWay = new Map<number, Entry>();
  #nextSeq = 0;
  #waitingBytes = 0;
  #onTheWayBytes = 0;

  constructor(windowBytes: number) {
    this.windowBytes = windowBytes;
  }

  get queuedBytes(): number {
    return this.#waitingBytes + this.#onTheWayBytes;
  }

  get hasWaiting(): boolean {
    return this.#head < this.#waiting.length;
  }

  /** Number of the packet that {@link take} gives next. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  push(packet: Packet, sent: Sent | undefined): void {
    const bytes = packetBytes(packet);
    assert(bytes > 0, 'every packet costs credit, an empty one too');
    this.#waiting.push({ packet, bytes, sent });
    this.#waitingBytes += bytes;
  }

  /** The next packet if the window has room for it. */
  take(): Packet | undefined {
    const entry = this.#waiting[this.#head];
    if (entry === undefined) return undefined;
    if (this.#onTheWay.size > 0 && this.#onTheWayBytes + entry.bytes > this.windowBytes) return undefined;
    this.#head++;
    if (this.#head === this.#waiting.length || this.#head > 4096) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    this.#waitingBytes -= entry.bytes;
    this.#onTheWayBytes += entry.bytes;
    this.#onTheWay.set(this.#nextSeq++, entry);
    assert(this.#waitingBytes >= 0, 'a packet that leaves has waited');
    assert(
      this.#onTheWayBytes <= this.windowBytes || this.#onTheWay.size === 1,
      'packets on the way fit the window (OUT-2)',
    );
    return entry.packet;
  }

  /** The receiver released packet `seq`; false when no such packet is on the way. */
  acknowledge(seq: number): boolean {
    const entry = this.#onTheWay.get(seq);
    if (entry === undefined) return false;
    this.#onTheWay.delete(seq);
    this.#onTheWayBytes -= entry.bytes;
    assert(
      this.#onTheWay.size === 0 ? this.#onTheWayBytes === 0 : this.#onTheWayBytes > 0,
      'bytes on the way are those of the packets on the way',
    );
    entry.sent?.(null);
    return true;
  }

  /**
   * Empties itself and starts again at number 0.
   *
   * @returns tells every sender; a separate call, so that what they resend when they learn of the loss is not lost with it
   */
  clear(): (error: TroupeError) => void {
    const failed = [...this.#onTheWay.values(), ...this.#waiting.slice(this.#head)];
    this.#waiting = [];
    this.#head = 0;
    this.#onTheWay = new Map();
    this.#nextSeq = 0;
    this.#waitingBytes = 0;
    this.#onTheWayBytes = 0;
    return (error) => {
      for (const entry of failed) entry.sent?.(error);
    };
  }
}
