import type { Clock, TimerHandle } from '@troupe/core';

/** Timers of one actor's life, all of which end with it. */
export class Timers {
  readonly #clock: Clock;
  readonly #open = new Set<TimerHandle>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  after(delayMs: number, run: () => void): void {
    const timer = this.#clock.after(delayMs, () => {
      this.#open.delete(timer);
      run();
    });
    this.#open.add(timer);
  }

  cancelAll(): void {
    for (const timer of this.#open) this.#clock.cancel(timer);
  }
}
