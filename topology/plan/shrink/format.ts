import { formatBytes, table } from '../table.ts';
import type { Loss, LossPlan, ShrunkLayout } from './losses.ts';

const mixtureText = ({ mixture }: ShrunkLayout): string => {
  const { pp, dp, tp, ep, microbatches } = mixture;
  return `pp ${pp} × dp ${dp} × tp ${tp}, ep ${ep}, ${microbatches} microbatches`;
};

const slower = ({ stepSeconds }: ShrunkLayout, before: number | null): string =>
  before === null || before === 0 ? '?' : `${(stepSeconds / before).toFixed(2)} ×`;

function rowOf(name: string, { layout, why }: Loss, before: number | null): readonly string[] {
  if (layout === null) return [name, `stands still: ${why ?? ''}`, '', '', '', ''];
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

/** How a run would go on without machines, for people. */
export function formatLosses(plan: LossPlan, { grains }: { readonly grains: number }): string {
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
    'Without a machine the run would go on so, with the same numbers (today it waits for the machine: recovery.machines wait)',
    table(['without', 'layout', 'idle', 'device', 'a step takes', 'moves'], rows, 2),
    ...grainsLines(plan, grains),
    '',
  ].join('\n');
}
