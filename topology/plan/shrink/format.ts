import type { ResolvedTopology } from '../../resolved.ts';
import { formatBytes, table } from '../table.ts';
import type { Loss, LossPlan, ShrunkLayout } from './losses.ts';

const mixtureText = ({ mixture }: ShrunkLayout): string => {
  const { pp, dp, tp, ep, microbatches } = mixture;
  return `pp ${pp} × dp ${dp} × tp ${tp}, ep ${ep}, ${microbatches} microbatches`;
};

const slower = ({ stepSeconds }: ShrunkLayout, before: number | null): string =>
  before === null || before === 0 ? '?' : `${(stepSeconds / before).toFixed(2)} ×`;

function rowOf(name: string, { layout, why }: Loss, before: number | null): readonly string[] {
  if (layout === null) return [name, `ends: ${why ?? ''}`, '', '', '', ''];
  return [
    name,
    mixtureText(layout),
    `${layout.idle}`,
    formatBytes(layout.deviceBytes),
    slower(layout, before),
    layout.movedBytes === null ? '?' : formatBytes(layout.movedBytes),
  ];
}

function grainsLines({ grains: { uneven, nearest }, min }: LossPlan, grains: number): readonly string[] {
  if (uneven.length === 0) return [];
  const counts = uneven.toSorted((a, b) => a - b).join(', ');
  const hint =
    nearest === null
      ? 'no grains divide over all numbers of machines'
      : `grains ${nearest.grains} with batch ${nearest.batch} would keep all of them busy`;
  return [
    `grains ${grains} leave devices without work on ${counts} machines, down to ${min}: ${hint} (another batch or other grains are another run)`,
  ];
}

/** What the policy of a run does when one of its machines is lost. */
function policyText({ recovery, joining }: ResolvedTopology): string {
  const { machines, waitSeconds } = recovery;
  const late = `a machine that is lost and not back within ${waitSeconds} s`;
  if (machines === 'shrink') {
    const first =
      (joining?.spares ?? 0) === 0 ? '' : `, once no spare machine (${joining?.spares}) can take its place`;
    return `Without ${late} the run goes on so, with the same numbers (recovery.machines shrink)${first}`;
  }
  const now =
    machines === 'wait'
      ? `The run ends with 76 for ${late} (recovery.machines wait)`
      : `A machine that stands by (${joining?.spares ?? 0}) takes the place of ${late} (recovery.machines spare)`;
  return `${now}; with recovery.machines shrink it would go on so, with the same numbers`;
}

/** How a run would go on without machines, for people. */
export function formatLosses(plan: LossPlan, topology: ResolvedTopology): string {
  const { grains } = topology.train;
  const rows = [
    ...plan.single.map((loss) => rowOf(loss.machines.join(', '), loss, plan.stepSeconds)),
    ...plan.pairs.map((loss) =>
      rowOf(
        loss.count === 1
          ? loss.machines.join(', ')
          : `any of ${loss.count} pairs like ${loss.machines.join(', ')}`,
        loss,
        plan.stepSeconds,
      ),
    ),
  ];
  return [
    policyText(topology),
    table(['without', 'layout', 'idle', 'device', 'a step takes', 'moves'], rows, 2),
    ...grainsLines(plan, grains),
    '',
  ].join('\n');
}
