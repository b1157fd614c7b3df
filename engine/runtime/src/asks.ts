import { assert, DeadlineError, type Address, type Clock, type TimerHandle } from '@troupe/core';
import type { AskOptions } from './actor.ts';

interface PendingAsk {
  readonly owner: Address;
  readonly timer: TimerHandle;
}

/** Correlation ids that one life of a node may use. */
const IDS_PER_LIFE = 2 ** 32;

/**
 * Questions that await an answer; each has an owner and a deadline. Correlation ids count within one life of a node, so that an answer to
 * an earlier life's question finds nobody.
 */
export class Asks {
  readonly #clock: Clock;
  readonly #pending = new Map<number, PendingAsk>();
  #last: number;

  /** @param incarnation - of the node, from 1 */
  constructor(clock: Clock, incarnation: number) {
    this.#clock = clock;
    this.#last = (incarnation - 1) * IDS_PER_LIFE;
  }

  begin(
    owner: Address,
    to: Address,
    type: string,
    options: AskOptions,
    expired: (error: DeadlineError) => void,
  ): number {
    assert(options.deadlineMs > 0, 'a question has a deadline', { owner, to, type });
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
