import type { Clock, NodeId, TimerHandle } from '@troupe/core';
import type { VirtualClock } from './virtual-clock.ts';

/**
 * One life of a node, as its operating system sees it: everything that runs in it runs through here, so that a death or a standstill
 * needs no help from the code above.
 *
 * PRC-1: after `kill` nothing of this life runs. PRC-2: what falls due while it hangs runs when it wakes, in the order in which it
 * fell due. PRC-3: while its event loop is occupied nothing else of it runs; what falls due meanwhile runs behind it, in order.
 */
export class SimProcess {
  readonly node: NodeId;
  readonly incarnation: number;
  /** The monotonic clock that this process sees. */
  readonly clock: Clock;
  readonly #time: VirtualClock;
  #isAlive = true;
  #wakesAtMs = 0;
  /** Until when its event loop is at work. */
  #busyUntilMs = 0;
  /** What fell due while it hung. */
  #held: (() => void)[] = [];
  #rate = 1;
  /** Where the present rate began, in virtual and in own time. */
  #virtualZeroMs: number;
  #ownZeroMs: number;
  #slowness = 1;

  constructor(node: NodeId, incarnation: number, time: VirtualClock) {
    this.node = node;
    this.incarnation = incarnation;
    this.#time = time;
    this.#virtualZeroMs = time.now();
    this.#ownZeroMs = time.now();
    this.clock = {
      now: () => this.#ownZeroMs + (time.now() - this.#virtualZeroMs) * this.#rate,
      after: (delayMs, callback) => this.after(delayMs / this.#rate, callback),
      cancel: (handle) => time.cancel(handle),
    };
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isHanging(): boolean {
    return this.#isAlive && this.#time.now() < this.#wakesAtMs;
  }

  /** Factor on the time of its kernels. */
  get slowness(): number {
    return this.#slowness;
  }

  /** Runs something after a virtual delay, if this life still lasts then. */
  after(delayMs: number, run: () => void): TimerHandle {
    return this.#time.after(delayMs, () => this.run(run));
  }

  /** Whether `run` would call at once; asking first saves making a function. */
  get isReady(): boolean {
    return this.#isAlive && !this.#isBusy && this.#held.length === 0;
  }

  /** Runs something now, later when it hangs, never when it is dead. */
  run(run: () => void): void {
    if (this.isReady) run();
    else if (this.#isAlive) this.#held.push(run);
  }

  kill(): void {
    this.#isAlive = false;
    this.#held = [];
  }

  hang(forMs: number): void {
    const wakesAtMs = this.#time.now() + forMs;
    if (wakesAtMs <= this.#wakesAtMs) return;
    this.#wakesAtMs = wakesAtMs;
    this.#time.after(forMs, () => this.#wake());
  }

  /** Its event loop is at work for a while: a turn of an actor has a price. Unlike a hang nobody notices. */
  occupy(forMs: number): void {
    if (forMs <= 0) return;
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#time.now()) + forMs;
    this.#time.after(this.#busyUntilMs - this.#time.now(), () => this.#wake());
  }

  get #isBusy(): boolean {
    return this.#time.now() < Math.max(this.#wakesAtMs, this.#busyUntilMs);
  }

  /** Kernels take `factor` times as long for a while. */
  slow(factor: number, forMs: number): void {
    this.#slowness *= factor;
    this.#time.after(forMs, () => {
      this.#slowness /= factor;
    });
  }

  /** The own clock runs `factor` times as fast for a while. Timers that are armed keep their virtual time. */
  skew(factor: number, forMs: number): void {
    this.#setRate(this.#rate * factor);
    this.#time.after(forMs, () => this.#setRate(this.#rate / factor));
  }

  #setRate(rate: number): void {
    this.#ownZeroMs = this.clock.now();
    this.#virtualZeroMs = this.#time.now();
    this.#rate = rate;
  }

  #wake(): void {
    // What these arm or run in turn comes after them. One of them may occupy the loop: its end wakes the rest.
    while (this.#isAlive && !this.#isBusy) {
      const run = this.#held.shift();
      if (run === undefined) return;
      run();
    }
  }
}
