import { DeadlineError, type Address, type Clock, type TimerHandle } from '@troupe/core';
import type { AskOptions } from './actor.ts';

interface PendingAsk {
  readonly owner: Address;
  readonly timer: TimerHandle;
}

/** Questions that await an answer; each has an owner and a deadline. Correlation ids count from 1 within a node. */
export class Asks {
  readonly #clock: Clock;
  readonly #pending = new Map<number, PendingAsk>();
  #last = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(
    owner: Address,
    to: Address,
    type: string,
    options: AskOptions,
    expired: (error: DeadlineError) => void,
  ): number {
    const correlation = ++this.#last;
    const timer = this.#clock.after(options.deadlineMs, () => {
      if (!this.#pending.delete(correlation)) return;
      const message = `${owner} asked ${to} for ${type} (${options.reason}) and got no answer within ${options.deadlineMs} ms`;
      expired(new DeadlineError(message, { waiter: owner, awaited: to, kind: type, reason: options.reason }));
    });
    this.#pending.set(correlation, { owner, timer });
    return correlation;
  }

  /** The owner of an open ask, which is closed by this; undefined for a late or unknown answer. */
  answered(correlation: number): Address | undefined {
    const ask = this.#pending.get(correlation);
    if (ask === undefined) return undefined;
    this.#clock.cancel(ask.timer);
    this.#pending.delete(correlation);
    return ask.owner;
  }

  forget(owner: Address): void {
    for (const [correlation, ask] of this.#pending) if (ask.owner === owner) this.answered(correlation);
  }

  clear(): void {
    for (const correlation of this.#pending.keys()) this.answered(correlation);
  }

  get size(): number {
    return this.#pending.size;
  }
}
