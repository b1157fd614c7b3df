import { formatBytes, formatPlanDiff } from '@troupe/topology';
import type { RelayoutDiff } from 'troupe/control';

/** Actors that are named; of more, how many. */
const MOST_ACTORS = 12;

/** What a relayout would change and cost, for people. */
export function relayoutDiffLines({
  from,
  to,
  diff,
  movedBytes,
  stateBytes,
}: RelayoutDiff): readonly string[] {
  if (diff.same) return [`no difference: ${from}`];
  const actors = diff.actors.slice(0, MOST_ACTORS);
  const more = diff.actors.length - actors.length;
  const moved = movedBytes === null ? 'not counted' : formatBytes(movedBytes);
  return [
    `from   ${from}`,
    `to     ${to}`,
    `moves  ${moved} of weights and moments to machines that do not hold them; it goes through a checkpoint, which is ${formatBytes(stateBytes)}`,
    formatPlanDiff({ ...diff, actors }).trimEnd(),
    ...(more > 0 ? [`  and ${more} more actors`] : []),
  ];
}
