import { sampleEfficiency, smoothedCurve, type LossCurve } from '@troupe/scaling';
import { table } from '@troupe/topology';
import { UsageError } from '../errors.ts';
import { OutputFile } from '../output-file.ts';
import { print, printJson } from '../output.ts';
import { figure } from '../scaling/figure.ts';
import { warn } from '../scaling/law-flag.ts';
import { drawBelow } from '../scaling/line-chart.ts';
import { smoothedSteps } from '../sweep/read-metrics.ts';
import { heldOutCurve, readComparedRuns, trainingCurve, type ComparedRun } from './compared-run.ts';
import { curveCharts } from './curve-charts.ts';
import type { CompareFlags } from './compare-flags.ts';
import { compareRows } from './compare-rows.ts';
import { isRowsFile } from './compared-rows.ts';
import { reachTable } from './reach-table.ts';

const lossNames = { train: 'training loss, smoothed', 'held-out': 'held-out loss' } as const;

/** Held out, if all runs were evaluated; a training loss is the mean of the last 20th of the steps. */
function curvesOf(
  runs: readonly ComparedRun[],
  asked: CompareFlags['loss'],
): { readonly loss: keyof typeof lossNames; readonly curves: readonly LossCurve[] } {
  const evaluated = runs.map(heldOutCurve);
  const lacking = evaluated.find(({ points }) => points.length === 0);
  if (asked === 'held-out' && lacking !== undefined)
    throw new UsageError(
      `${lacking.name} was never evaluated; compare --loss train, or train with eval.every above 0`,
    );
  if (asked !== 'train' && lacking === undefined) return { loss: 'held-out', curves: evaluated };
  const curves = runs.map(trainingCurve).map((curve) => {
    const last = curve.points.at(-1);
    if (last === undefined) throw new UsageError(`${curve.name} has no step with a loss; train it first`);
    return smoothedCurve(curve, smoothedSteps(last.updates));
  });
  return { loss: 'train', curves };
}

const shownFlops = (flops: number | null): string => (flops === null ? '' : flops.toExponential(2));

const endRows = (curves: readonly LossCurve[]): readonly (readonly string[])[] =>
  curves.flatMap(({ name, points }) => {
    const end = points.at(-1);
    return end === undefined
      ? []
      : [[name, String(end.updates), figure(end.tokens), shownFlops(end.flops), end.loss.toFixed(4)]];
  });

/** How fast runs learn: their losses over updates, tokens and FLOPs, and the updates that one needs for what another ends with. */
export async function compare(folders: readonly string[], flags: CompareFlags): Promise<void> {
  if (folders.some(isRowsFile)) return compareRows(folders, flags);
  const output = flags.out === undefined ? null : new OutputFile('--out', flags.out);
  const runs = await readComparedRuns(folders);
  const { loss, curves } = curvesOf(runs, flags.loss);
  const reached = sampleEfficiency(curves);
  output?.write(drawBelow(curveCharts(curves, lossNames[loss])));
  const warnings = runs.flatMap(({ warning }) => (warning === null ? [] : [warning]));
  const written = output === null ? [] : [output.path];
  if (flags.json === true) {
    const shown = curves.map(({ name, points }, index) => ({ name, folder: runs[index]?.folder, points }));
    printJson({ event: 'compare', loss, runs: shown, reached, written, warnings });
    return;
  }
  print(
    `loss  ${lossNames[loss]}, nats a token`,
    '',
    table(['run', 'updates', 'tokens', 'FLOPs', 'last loss'], endRows(curves), 1),
    '',
    ...reachTable(curves, reached),
    ...written.map((file) => `wrote ${file}`),
  );
  warn(warnings, false);
}
