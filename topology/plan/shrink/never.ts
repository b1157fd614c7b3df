import { nowhere, type TopologyProblem } from '../../problem.ts';
import type { ResolvedTopology } from '../../resolved.ts';
import { evenGrains } from './even-grains.ts';
import { planLosses } from './losses.ts';

const saidMemory = ({ machines }: ResolvedTopology): number =>
  Math.min(...machines.map(({ speed }) => speed?.memoryBytes ?? Number.POSITIVE_INFINITY));

/**
 * The problem of a run that is to go on with fewer machines and could not without any single one of them; null: it could, or was not asked to.
 *
 * @param memoryBytes - of one device. Default: what all of them are said to have, ∞ where one says nothing
 */
export function neverShrinks(
  topology: ResolvedTopology,
  memoryBytes = saidMemory(topology),
): TopologyProblem | null {
  const { recovery, train, source } = topology;
  if (recovery.machines !== 'shrink') return null;
  const { single, min } = planLosses(topology, { memoryBytes, pairs: false });
  if (single.some(({ layout }) => layout !== null)) return null;
  const { nearest } = evenGrains(topology, min);
  const hint =
    nearest === null
      ? ''
      : `; grains ${nearest.grains} with batch ${nearest.batch} divide over every number of machines down to ${min}`;
  return {
    ...(source.places['recovery.machines'] ?? nowhere),
    code: 'TROUPE_TOPOLOGY_CONFLICT',
    key: 'recovery.machines',
    value: 'shrink',
    rule: `the run could not go on without any of its machines: ${single[0]?.why ?? ''} (grains ${train.grains})${hint}`,
    nearest: 'wait',
  };
}
