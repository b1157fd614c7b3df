import type { ResolvedTopology } from '@troupe/topology';

/** Why a run is laid out anew, and for whom. */
export interface RelayoutReason {
  /** One that is repeated is answered, and not done again. */
  readonly id: string;
  readonly kind: 'drain' | 'migrate' | 'apply' | 'loss';
  /** Who asked, as they say: `ada@gpu-1, process 4711`. */
  readonly by: string;
  /** In words: `drain m1`. */
  readonly what: string;
}

export interface RelayoutProblem {
  readonly code: string;
  readonly message: string;
}

/** How a relayout ended. */
export interface RelayoutOutcome {
  readonly id: string;
  /** `returned`: the new layout did not come to its first step, and the old one goes on. `dropped`: the run ended before. */
  readonly state: 'done' | 'returned' | 'dropped';
  /** The last step in the layout before. */
  readonly step: number;
  /** From that step until the next one opened; null: none did. */
  readonly pauseMs: number | null;
  /** What kept the new layout from its first step. */
  readonly problem: RelayoutProblem | null;
}

/** A relayout as the run folder keeps it: before it starts, and when it has ended. */
export interface RelayoutRecord extends Omit<RelayoutReason, 'id'>, Omit<RelayoutOutcome, 'state'> {
  readonly state: RelayoutOutcome['state'] | 'open';
  /** Layouts in words. */
  readonly from: string;
  readonly to: string;
}

/** Machines that are named; of more, how many. */
const MOST_NAMED = 4;

/** `pp 1 × dp 2 × tp 1, ep 2, zero 1 on m0, m1`. */
export function layoutWords({ parallel, machines }: ResolvedTopology): string {
  const { pp, dp, tp, ep, zero } = parallel;
  const hosts = machines.map(({ host }) => host);
  const on = hosts.length > MOST_NAMED ? `${hosts.length} machines` : hosts.join(', ');
  return `pp ${pp} × dp ${dp} × tp ${tp}, ep ${ep}, zero ${zero} on ${on}`;
}
