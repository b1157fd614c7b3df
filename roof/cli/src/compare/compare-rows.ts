import {
  groupDifferences,
  partMeans,
  sampleEfficiency,
  seedGroups,
  type GroupDifference,
  type PartMeans,
  type SeedGroup,
} from '@troupe/scaling';
import { table } from '@troupe/topology';
import { UsageError } from '../errors.ts';
import { OutputFile } from '../output-file.ts';
import { print, printJson } from '../output.ts';
import { drawBelow } from '../scaling/line-chart.ts';
import type { CompareFlags } from './compare.ts';
import { curvesOfRows, readComparedRows } from './compared-rows.ts';
import { curveCharts } from './curve-charts.ts';
import { reachTable } from './reach-table.ts';

const shownVerdict: Readonly<Record<GroupDifference['verdict'], string>> = {
  better: 'better',
  worse: 'worse',
  none: 'no difference',
  unknown: 'unknown: no seeds',
};

const signed = (value: number): string => `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(4)}`;

function groupRows(groups: readonly SeedGroup[]): readonly (readonly string[])[] {
  const differences = groupDifferences(groups);
  return groups.map(({ group, numRuns, mean }) => {
    const found = differences.find((each) => each.group === group);
    return [
      group,
      String(numRuns),
      mean.toFixed(4),
      ...(found === undefined ? ['', ''] : [signed(found.value), shownVerdict[found.verdict]]),
    ];
  });
}

const partRows = (parts: readonly PartMeans[]): readonly (readonly string[])[] =>
  parts.map(({ task, language, groups }) => [
    language === null ? task : `  ${language}`,
    ...groups.map((each) => (each === null ? '' : each.mean.toFixed(4))),
  ]);

function describeSpread([first]: readonly SeedGroup[]): string {
  const deviation = first?.deviation ?? null;
  return deviation === null
    ? 'spread of seeds  unknown: no model was trained with several seeds'
    : `spread of seeds  a standard deviation of ${deviation.toFixed(4)}; what is within two of the difference of two means is no difference`;
}

/** Means over seeds of the rows of sweeps, and their spread: losses, by task and language, and how fast models learn. */
export async function compareRows(files: readonly string[], flags: CompareFlags): Promise<void> {
  if (flags.loss === 'train')
    throw new UsageError('--loss train goes with folders of runs; rows are compared by held-out losses');
  const output = flags.out === undefined ? null : new OutputFile('--out', flags.out);
  const rows = files.flatMap(readComparedRows);
  const groups = seedGroups(rows);
  const parts = partMeans(rows);
  const curves = await curvesOfRows(rows);
  const reached = sampleEfficiency(curves);
  if (output !== null && curves.length === 0)
    throw new UsageError('--out draws curves, and no folder of these runs is there any more');
  output?.write(drawBelow(curveCharts(curves, 'held-out loss')));
  const written = output === null ? [] : [output.path];
  if (flags.json === true) {
    const differences = groupDifferences(groups);
    printJson({ event: 'compare', loss: 'held-out', groups, differences, parts, curves, reached, written });
    return;
  }
  const names = groups.map(({ group }) => group);
  print(
    'loss  held-out loss, nats a token, mean of the seeds',
    describeSpread(groups),
    '',
    table(['model', 'seeds', 'loss', `beside ${names[0]}`, ''], groupRows(groups), 1),
    ...(parts.length === 0 ? [] : ['', table(['task', ...names], partRows(parts), 1)]),
    ...(curves.length < 2 ? [] : ['', ...reachTable(curves, reached)]),
    ...written.map((file) => `wrote ${file}`),
  );
}
