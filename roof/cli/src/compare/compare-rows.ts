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
import type { CompareFlags } from './compare-flags.ts';
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

function groupRows(
  groups: readonly SeedGroup[],
  parts: readonly PartMeans[],
): readonly (readonly string[])[] {
  const differences = groupDifferences(groups);
  return groups.map(({ group, numRuns, mean }, index) => {
    if (!onSameText(parts, index))
      return [group, String(numRuns), mean.toFixed(4), '', 'of other tasks: see those below'];
    const found = differences.find((each) => each.group === group);
    return [
      group,
      String(numRuns),
      mean.toFixed(4),
      ...(found === undefined ? ['', ''] : [signed(found.value), shownVerdict[found.verdict]]),
    ];
  });
}

/** How a loss stands beside that of the first model, behind it. */
const marks: Readonly<Record<GroupDifference['verdict'], string>> = {
  better: ' <',
  worse: ' >',
  none: ' =',
  unknown: '  ',
};

/** Models that were not measured on a part have no loss there. */
function partRow({ task, language, groups }: PartMeans): readonly string[] {
  const differences = groups[0] == null ? [] : groupDifferences(groups.flatMap((each) => each ?? []));
  const shown = groups.map((each) => {
    if (each === null) return '';
    const found = differences.find(({ group }) => group === each.group);
    return `${each.mean.toFixed(4)}${found === undefined ? '  ' : marks[found.verdict]}`;
  });
  return [language === null ? task : `  ${language}`, ...shown];
}

/** Models that were measured on what the first one was: others are compared by parts alone. */
function onSameText(parts: readonly PartMeans[], at: number): boolean {
  return parts.every(({ groups }) => (groups[at] == null) === (groups[0] == null));
}

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
  const same = new Set(groups.filter((_, at) => onSameText(parts, at)).map(({ group }) => group));
  // A loss over other tasks is on another scale.
  const curves = (await curvesOfRows(rows)).filter(({ name }) => same.has(name));
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
    table(['model', 'seeds', 'loss', `beside ${names[0]}`, ''], groupRows(groups, parts), 1),
    ...(parts.length === 0
      ? []
      : [
          '',
          `by task and language; beside ${names[0]}: < better, > worse, = no difference`,
          table(['task', ...names], parts.map(partRow), 1),
        ]),
    ...(curves.length < 2 ? [] : ['', ...reachTable(curves, reached)]),
    ...written.map((file) => `wrote ${file}`),
  );
}
