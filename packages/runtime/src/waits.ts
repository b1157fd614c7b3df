import { DeadlineError, type Address, type Clock, type TimerHandle } from '@troupe/core';

/** Why an actor stands still: who waits, for whom, for what, since when. */
export interface Wait {
  readonly name: string;
  readonly owner: Address;
  /** Addresses that have not answered yet. */
  readonly awaited: readonly Address[];
  /** In words: `rows of layer 3, forward`. */
  readonly reason: string;
  readonly step?: number;
  readonly layer?: number;
  readonly microbatch?: number;
  readonly sinceMs: number;
  readonly deadlineMs: number;
}

export type WaitRequest = Omit<Wait, 'owner' | 'sinceMs'>;

/** Every wait of one node has an owner, a deadline and a reason; this keeps them and fires the deadlines. */
export class Waits {
  readonly #clock: Clock;
  readonly #waits = new Map<string, { wait: Wait; timer: TimerHandle }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(owner: Address, request: WaitRequest, expired: (error: DeadlineError, wait: Wait) => void): void {
    const key = `${owner} ${request.name}`;
    this.end(owner, request.name);
    const wait: Wait = { ...request, owner, sinceMs: this.#clock.now() };
    const timer = this.#clock.after(request.deadlineMs, () => {
      const current = this.#waits.get(key);
      if (current === undefined) return;
      this.#waits.delete(key);
      expired(
        new DeadlineError(describeWait(current.wait, this.#clock.now()), {
          waiter: owner,
          awaited: current.wait.awaited,
        }),
        current.wait,
      );
    });
    this.#waits.set(key, { wait, timer });
  }

  /** One of the awaited answered: the report names only those still missing. */
  answered(owner: Address, name: string, by: Address): void {
    const entry = this.#waits.get(`${owner} ${name}`);
    if (entry === undefined) return;
    entry.wait = { ...entry.wait, awaited: entry.wait.awaited.filter((address) => address !== by) };
  }

  end(owner: Address, name: string): void {
    const key = `${owner} ${name}`;
    const entry = this.#waits.get(key);
    if (entry === undefined) return;
    this.#clock.cancel(entry.timer);
    this.#waits.delete(key);
  }

  endAll(owner: Address): void {
    for (const { wait } of this.#waits.values()) if (wait.owner === owner) this.end(owner, wait.name);
  }

  list(): readonly Wait[] {
    return [...this.#waits.values()].map((entry) => entry.wait);
  }
}

/** One sentence: `stage/pp0/dp0/tp0 waits for expert/L3/ep1/edp0: rows of layer 3, forward (step 12, layer 3, microbatch 0) since 10.0 s`. */
export function describeWait(wait: Wait, nowMs: number): string {
  const shown = wait.awaited.slice(0, 4).join(', ');
  const more = wait.awaited.length > 4 ? ` and ${wait.awaited.length - 4} more` : '';
  const place = [
    wait.step === undefined ? '' : `step ${wait.step}`,
    wait.layer === undefined ? '' : `layer ${wait.layer}`,
    wait.microbatch === undefined ? '' : `microbatch ${wait.microbatch}`,
  ].filter((part) => part !== '');
  const where = place.length === 0 ? '' : ` (${place.join(', ')})`;
  return `${wait.owner} waits for ${shown}${more}: ${wait.reason}${where} since ${((nowMs - wait.sinceMs) / 1000).toFixed(1)} s`;
}
