import type { AwayMachine } from '@troupe/actors';
import type { TroupeError } from '@troupe/core';
import type { ResolvedTopology } from '@troupe/topology';
import { MachineAwayError } from '../errors.ts';
import type { Whereabouts } from '../run/processes.ts';
import { lostForGood } from './loss-error.ts';
import { LossPolicy } from './loss-policy.ts';
import type { RelayoutReason } from './relayout.ts';
import type { AfterFailure } from './relayouts.ts';

export interface AfterLossPorts {
  /** There is a state to go on from. */
  readonly hasState: () => boolean;
  /** Ends the present layout. */
  readonly fail: (error: TroupeError) => void;
}

type Away = readonly (AwayMachine & Whereabouts)[];

/**
 * What follows when machines of a launched run do not come back, or do not come when a layout begins.
 *
 * A layout that has lost some fails with an error that says so; the one that comes next was decided before, and is what follows that error.
 */
export class AfterLoss {
  readonly #ports: AfterLossPorts;
  readonly #policy: LossPolicy;
  #decided: { readonly error: TroupeError; readonly next: ReturnType<AfterFailure> } | null = null;

  constructor(topology: ResolvedTopology, ports: AfterLossPorts) {
    this.#ports = ports;
    // What devices of other machines have room for is known there.
    this.#policy = new LossPolicy(topology, Number.POSITIVE_INFINITY);
  }

  /** Machines of the present layout are away, of which one was waited for long enough. */
  overdue(present: ResolvedTopology, away: Away): void {
    this.#policy.laidOut(present);
    const outcome = this.#policy.lose(away, this.#ports.hasState());
    if (outcome.kind === 'wait') return;
    if (outcome.kind === 'end') {
      this.#ports.fail(outcome.error);
      return;
    }
    const { topology: next, text } = outcome;
    const error = lostForGood(present, away, { reason: 'waited', text: `the run goes on: ${text}` });
    this.#decided = { error, next: { next, why: reasonOf(present, away, text) } };
    this.#ports.fail(error);
  }

  readonly after: AfterFailure = ({ topology, error }) => {
    const decided = this.#decided;
    this.#decided = null;
    if (decided?.error === error) return decided.next;
    if (!(error instanceof MachineAwayError)) return null;
    this.#policy.laidOut(topology);
    const away = error.away.map((each) => ({ ...each, isOverdue: true }));
    const outcome = this.#policy.lose(away, this.#ports.hasState());
    if (outcome.kind !== 'go on') return null;
    return { next: outcome.topology, why: reasonOf(topology, away, outcome.text) };
  };
}

/** A machine is lost for good once. */
function reasonOf({ machines }: ResolvedTopology, away: Away, text: string): RelayoutReason {
  const hosts = away.map(({ machine }) => machines[machine]?.host ?? '');
  return {
    id: `loss of ${hosts.join(', ')} of ${machines.length}`,
    kind: 'loss',
    by: 'recovery.machines',
    what: `${hosts.join(', ')} lost for good: ${text}`,
  };
}
