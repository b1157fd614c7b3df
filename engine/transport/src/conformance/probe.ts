import {
  nodeId,
  type Clock,
  type Lane,
  type NodeId,
  type Packet,
  type PeerEvent,
  type TimerHandle,
  type Transport,
} from '@troupe/core';

/** Real time for transports under test. */
export const realClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    const handle = ++lastHandle;
    timers.set(handle, timer);
    return handle;
  },
  cancel(handle) {
    clearTimeout(timers.get(handle));
    timers.delete(handle);
  },
};
const timers = new Map<TimerHandle, NodeJS.Timeout>();
let lastHandle = 0;

/** A clock that stands still until a test moves it; only deadlines, no periods. */
export class ManualClock implements Clock {
  #now = 0;
  #last = 0;
  readonly #armed = new Map<TimerHandle, { readonly at: number; readonly callback: () => void }>();

  now(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    this.#armed.set(++this.#last, { at: this.#now + delayMs, callback });
    return this.#last;
  }

  cancel(handle: TimerHandle): void {
    this.#armed.delete(handle);
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const [handle, timer] of [...this.#armed].sort((a, b) => a[1].at - b[1].at)) {
      if (timer.at > this.#now || !this.#armed.delete(handle)) continue;
      timer.callback();
    }
  }
}

export interface Arrival {
  readonly from: NodeId;
  readonly lane: Lane;
  readonly packet: Packet;
  readonly release: () => void;
}

/** Watches a transport: keeps what arrives, and wakes those who wait for it. No polling, no sleeping. */
export class Probe {
  readonly transport: Transport;
  /** Takes each packet; by default it is kept in {@link arrivals} and released. */
  take: (arrival: Arrival) => void = (arrival) => {
    this.arrivals.push(arrival);
    arrival.release();
  };
  readonly arrivals: Arrival[] = [];
  readonly events: PeerEvent[] = [];
  /** Outcome of each packet sent through {@link send}, in order of outcomes. */
  readonly outcomes: { readonly index: number; readonly code: string | null }[] = [];
  #numSent = 0;
  #waiters: { readonly met: () => boolean; readonly resolve: () => void }[] = [];

  constructor(transport: Transport) {
    this.transport = transport;
    transport.onPeer((event) => {
      this.events.push(event);
      this.notice();
    });
    transport.onPacket((from, lane, packet, release) => {
      this.take({ from, lane, packet, release });
      this.notice();
    });
  }

  /** Sends a packet whose header is `text`. */
  send(to: string, lane: Lane, text: string, frames: readonly Uint8Array[] = []): void {
    const index = this.#numSent++;
    this.transport.send(nodeId(to), lane, { header: Buffer.from(text), frames }, (error) => {
      this.outcomes.push({ index, code: error === null ? null : error.code });
      this.notice();
    });
  }

  /** Resolves as soon as `met` holds; it is asked again after everything that happens here. */
  async until(met: () => boolean): Promise<void> {
    if (met()) return;
    await new Promise<void>((resolve) => this.#waiters.push({ met, resolve }));
  }

  notice(): void {
    const ready = this.#waiters.filter((waiter) => waiter.met());
    this.#waiters = this.#waiters.filter((waiter) => !ready.includes(waiter));
    for (const waiter of ready) waiter.resolve();
  }

  texts(lane?: Lane): string[] {
    return this.arrivals
      .filter((arrival) => lane === undefined || arrival.lane === lane)
      .map((arrival) => Buffer.from(arrival.packet.header).toString());
  }

  /** `type node incarnation` of each event. */
  eventLines(): string[] {
    return this.events.map((event) => `${event.type} ${event.node} ${event.incarnation}`);
  }
}
