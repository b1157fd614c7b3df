import type { SweepRun } from './sweep-run.ts';

/** Names and how often they occur, most first. */
function tally(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

/** What is wrong with a run, and how to see it again. */
export const againLine = ({ seed, by, cluster, why, faults }: SweepRun): string =>
  [
    `seed ${seed} (${cluster}): ${why}`,
    ...faults.map((fault) => `  ${fault}`),
    `  again: npm run test:sim -- --${by} ${seed}`,
  ].join('\n');

/** How many runs ended how, and what was drawn. */
export function summaryOf(runs: readonly SweepRun[]): readonly string[] {
  const of = (verdict: SweepRun['verdict']): readonly SweepRun[] =>
    runs.filter((run) => run.verdict === verdict);
  const reasons = tally(of('ended').map(({ why }) => why));
  return [
    `${runs.length} runs: ${of('finished').length} finished with the loss curve of the run without faults, ${of('ended').length} ended with a reason${reasons === '' ? '' : ` (${reasons})`}, ${of('wrong').length} were wrong`,
    `faults: ${tally(runs.flatMap(({ kinds }) => kinds))}; struck in ${runs.filter(({ struck }) => struck > 0).length} runs`,
    `runs that went back: ${runs.filter(({ recoveries }) => recoveries > 0).length}, ${runs.reduce((sum, { recoveries }) => sum + recoveries, 0)} times in all`,
  ];
}
