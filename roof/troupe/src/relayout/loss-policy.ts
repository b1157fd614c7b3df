import type { AwayMachine } from '@troupe/actors';
import {
  decideLoss,
  firstLineup,
  fleetOf,
  type Fleet,
  type Lineup,
  type LossAnswer,
  type ResolvedTopology,
} from '@troupe/topology';
import type { MachineLostError } from '../errors.ts';
import type { Whereabouts } from '../run/processes.ts';
import { lostForGood } from './loss-error.ts';

/** What follows when machines are away: nothing yet, another layout, or the end. */
export type LossOutcome =
  | { readonly kind: 'wait' }
  | {
      readonly kind: 'go on';
      readonly topology: ResolvedTopology;
      readonly how: 'spare' | 'shrink';
      readonly text: string;
    }
  | { readonly kind: 'end'; readonly error: MachineLostError };

/** The machines of a run through all of its layouts, and its policy when some are lost; `decideLoss` decides. */
export class LossPolicy {
  readonly #memoryBytes: number;
  readonly #policy: ResolvedTopology['recovery']['machines'];
  /** Null: nothing is lost so far. */
  #fleet: Fleet | null = null;
  #lineup: Lineup;

  /** @param memoryBytes - of one device; ∞: nobody knows */
  constructor(topology: ResolvedTopology, memoryBytes: number) {
    this.#memoryBytes = memoryBytes;
    this.#policy = topology.recovery.machines;
    this.#lineup = firstLineup(topology);
  }

  /** Any machine may be lost, and the run can go on without it. */
  get mayGoOn(): boolean {
    return this.#policy !== 'wait';
  }

  /** What runs now. */
  get topology(): ResolvedTopology {
    return this.#lineup.topology;
  }

  /** Somebody else has laid the run out: machines that are not in that layout are not come back to. */
  laidOut(topology: ResolvedTopology): void {
    if (topology === this.#lineup.topology) return;
    const { policy, min, spares } = this.#fleet ?? fleetOf(this.#lineup.topology);
    this.#fleet = { ...fleetOf(topology), policy, min, spares };
    this.#lineup = firstLineup(topology);
  }

  /** Of each machine of the present layout, its place among all that the run has had. */
  get places(): readonly number[] {
    return this.#lineup.places;
  }

  /**
   * Decides, and counts the lost machines as lost for good when the run goes on.
   *
   * @param hasState - there is a state to go on from
   */
  lose(away: readonly (AwayMachine & Whereabouts)[], hasState: boolean): LossOutcome {
    const present = this.#lineup;
    const answer: LossAnswer = decideLoss({
      fleet: (this.#fleet ??= fleetOf(present.topology)),
      present,
      absent: away,
      hasState,
      memoryBytes: this.#memoryBytes,
    });
    if (answer.kind === 'wait') return answer;
    if (answer.kind === 'end') return { kind: 'end', error: lostForGood(present.topology, away, answer) };
    this.#fleet = answer.fleet;
    this.#lineup = answer.lineup;
    return { kind: 'go on', topology: answer.lineup.topology, how: answer.how, text: answer.text };
  }
}
