import { describeFault, type Fault } from './faults.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** A fault that struck. */
export interface StruckFault {
  readonly atMs: number;
  readonly fault: Fault;
  /** In words. */
  readonly text: string;
}

/** What a plan asks of the world. */
export interface FaultPlanHost {
  readonly strike: (fault: Fault) => void;
  /** Whether a pattern of the topology names an actor. */
  readonly matches: (pattern: string, address: string) => boolean;
}

/** `serving` also means `serving.forwarding`. */
const matchesState = (wanted: string, state: string): boolean =>
  state === wanted || state.startsWith(`${wanted}.`);

/**
 * Strikes each fault of a plan once, when its trigger comes.
 *
 * PLN-1: a fault strikes after the turn that triggered it, never inside it.
 */
export class FaultPlan {
  readonly #clock: VirtualClock;
  readonly #host: FaultPlanHost;
  readonly #bySteps = new Map<number, Fault[]>();
  #watching: readonly { readonly fault: Fault; left: number }[] = [];
  readonly #struck: StruckFault[] = [];
  #numWaiting = 0;

  constructor(clock: VirtualClock, faults: readonly Fault[], host: FaultPlanHost) {
    this.#clock = clock;
    this.#host = host;
    for (const fault of faults) {
      this.#numWaiting++;
      if (fault.when !== undefined)
        this.#watching = [...this.#watching, { fault, left: fault.when.times ?? 1 }];
      else if (fault.atStep === undefined) clock.after(fault.atMs ?? 0, () => this.#now(fault));
      else this.#bySteps.set(fault.atStep, [...(this.#bySteps.get(fault.atStep) ?? []), fault]);
    }
  }

  get struck(): readonly StruckFault[] {
    return this.#struck;
  }

  /** Faults whose trigger has not come. */
  get numWaiting(): number {
    return this.#numWaiting;
  }

  stepOpened(step: number): void {
    const due = this.#bySteps.get(step);
    this.#bySteps.delete(step);
    for (const fault of due ?? []) this.#clock.after(0, () => this.#now(fault));
  }

  turned(address: string, stateBefore: string, stateAfter: string): void {
    if (this.#watching.length === 0 || stateBefore === stateAfter) return;
    const due = this.#watching.filter(
      ({ fault: { when } }) =>
        when !== undefined && this.#host.matches(when.actor, address) && matchesState(when.state, stateAfter),
    );
    for (const entry of due) {
      entry.left--;
      if (entry.left === 0) this.#clock.after(0, () => this.#now(entry.fault));
    }
    if (due.length > 0) this.#watching = this.#watching.filter(({ left }) => left > 0);
  }

  #now(fault: Fault): void {
    this.#numWaiting--;
    this.#struck.push({ atMs: this.#clock.now(), fault, text: describeFault(fault) });
    this.#host.strike(fault);
  }
}
