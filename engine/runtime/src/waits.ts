import { assert, DeadlineError, type Address, type Clock, type TimerHandle } from '@troupe/core';

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

/** A wait and whom it still waits for. */
interface Entry {
  readonly owner: Address;
  readonly request: WaitRequest;
  readonly sinceMs: number;
  readonly missing: Set<Address>;
  readonly timer: TimerHandle;
}

const waitOf = ({ owner, request, sinceMs, missing }: Entry): Wait => ({
  ...request,
  owner,
  sinceMs,
  awaited: [...missing],
});

/** Every wait of one node has an owner, a deadline and a reason; this keeps them and fires the deadlines. */
export class Waits {
  readonly #clock: Clock;
  /** By owner, then by name. */
  readonly #waits = new Map<Address, Map<string, Entry>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(owner: Address, request: WaitRequest, expired: (error: DeadlineError, wait: Wait) => void): void {
    assert(request.deadlineMs > 0, 'a wait has a deadline', { owner, name: request.name });
    this.end(owner, request.name);
    const timer = this.#clock.after(request.deadlineMs, () => {
      const current = this.#take(owner, request.name);
      if (current === undefined) return;
      const wait = waitOf(current);
      expired(
        new DeadlineError(describeWait(wait, this.#clock.now()), { waiter: owner, awaited: wait.awaited }),
        wait,
      );
    });
    let own = this.#waits.get(owner);
    if (own === undefined) {
      own = new Map();
      this.#waits.set(owner, own);
    }
    const missing = new Set(request.awaited);
    own.set(request.name, { owner, request, sinceMs: this.#clock.now(), missing, timer });
  }

  /** One of the awaited answered: the report names only those still missing. */
  answered(owner: Address, name: string, by: Address): void {
    this.#waits.get(owner)?.get(name)?.missing.delete(by);
  }

  end(owner: Address, name: string): void {
    const entry = this.#take(owner, name);
    if (entry !== undefined) this.#clock.cancel(entry.timer);
  }

  endAll(owner: Address): void {
    for (const name of this.#waits.get(owner)?.keys() ?? []) this.end(owner, name);
  }

  list(): readonly Wait[] {
    return [...this.#waits.values()].flatMap((own) => [...own.values()].map(waitOf));
  }

  #take(owner: Address, name: string): Entry | undefined {
    const own = this.#waits.get(owner);
    const entry = own?.get(name);
    own?.delete(name);
    return entry;
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
