import { diffPlans, movedBytes, planTopology, type PlanDiff, type ResolvedTopology } from '@troupe/topology';
import { layoutWords } from './relayout.ts';

/** What a relayout changes, and what it costs. */
export interface RelayoutDiff {
  /** Layouts in words. */
  readonly from: string;
  readonly to: string;
  readonly diff: PlanDiff;
  /** Weights and moments that machines do not hold yet; null: of too many workers it is not counted. */
  readonly movedBytes: number | null;
  /** Weights and moments in all: written by the layout before, and read by the next one. */
  readonly stateBytes: number;
}

/** Beyond so many workers what moves is a matter of every element's holders. */
const MOST_COUNTED = 256;

/** A weight and two moments. */
const STATE_BYTES = 12;

export function diffRelayout(before: ResolvedTopology, after: ResolvedTopology): RelayoutDiff {
  const [old, next] = [planTopology(before), planTopology(after)];
  const hosts = before.machines.map(({ host }) => host);
  const places = after.machines.map(({ host }) => hosts.indexOf(host));
  const isCounted = Math.max(before.parallel.world, after.parallel.world) <= MOST_COUNTED;
  return {
    from: layoutWords(before),
    to: layoutWords(after),
    diff: diffPlans(old, next),
    movedBytes: isCounted ? movedBytes(before, after, places) : null,
    stateBytes: STATE_BYTES * next.parameters.total,
  };
}
