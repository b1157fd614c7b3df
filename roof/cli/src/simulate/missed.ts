import { describeFault, type Fault } from '@troupe/sim/faults';
import { matchesAddress, nearestName } from '@troupe/topology';
import type { Simulation } from 'troupe';

interface Observed {
  readonly address: string;
  readonly stateBefore: string;
  readonly stateAfter: string;
}

/** Tells of each fault of a plan that did not strike why its moment never came. */
export class MissedFaults {
  readonly #faults: readonly Fault[];
  readonly #patterns: readonly string[];
  /** States that the actors of a pattern were in. */
  readonly #states = new Map<string, Set<string>>();

  constructor(faults: readonly Fault[]) {
    this.#faults = faults;
    this.#patterns = [...new Set(faults.flatMap(({ when }) => (when === undefined ? [] : [when.actor])))];
    for (const pattern of this.#patterns) this.#states.set(pattern, new Set());
  }

  see({ address, stateBefore, stateAfter }: Observed): void {
    for (const pattern of this.#patterns)
      if (matchesAddress(pattern, address)) this.#states.get(pattern)?.add(stateBefore).add(stateAfter);
  }

  of({ struck, virtualMs, result }: Pick<Simulation, 'struck' | 'virtualMs' | 'result'>): readonly string[] {
    const came = new Set(struck.map(({ fault }) => fault));
    return this.#faults
      .filter((fault) => !came.has(fault))
      .map((fault) => `${describeFault(fault)}: ${this.#why(fault, virtualMs, result.step)}`);
  }

  #why({ atStep, when }: Fault, virtualMs: number, step: number): string {
    if (when !== undefined) return this.#whyNot(when);
    if (atStep !== undefined) return `the run ended after step ${step}`;
    return `the run was over at ${virtualMs.toFixed(3)} ms`;
  }

  #whyNot({ actor, state, times }: NonNullable<Fault['when']>): string {
    const states = [...(this.#states.get(actor) ?? [])].sort();
    const within = states.flatMap((each) =>
      each.split('.').map((_, end, parts) => parts.slice(0, end + 1).join('.')),
    );
    const known = [...new Set(within)];
    if (known.includes(state))
      return times === undefined ? 'it was so before its first turn' : `it was so less than ${times} times`;
    const nearest = nearestName(state, known);
    const hint = nearest === null ? '' : `; nearest: ${nearest}`;
    return `no ${actor} was ever ${state}, only ${states.join(', ') || 'without a turn'}${hint}`;
  }
}
