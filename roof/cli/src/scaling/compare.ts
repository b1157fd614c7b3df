import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  armsOf,
  comparisons,
  measuredRun,
  noiseOf,
  ScalingRunsError,
  type Arm,
  type Comparison,
  type Gain,
  type LossOf,
  type Noise,
} from '@troupe/scaling';
import { table } from '@troupe/topology';
import { UsageError } from '../errors.ts';
import { OutputFile } from '../output-file.ts';
import { print, printJson } from '../output.ts';
import type { CommonOptions } from '../verb.ts';
import { gainChart, lossChart } from './comparison-charts.ts';
import { figure } from './figure.ts';
import { lawOfFlags, warn, warningsOf, type LawFlags } from './law-flag.ts';
import { drawLines } from './line-chart.ts';
import { readRuns } from './read-runs.ts';

export interface CompareFlags extends CommonOptions, Pick<LawFlags, 'law'> {
  readonly out?: string;
  readonly loss: 'train' | 'held-out';
}

const lossOf: Readonly<Record<CompareFlags['loss'], LossOf>> = {
  train: ({ loss }) => loss,
  'held-out': ({ heldOutLoss }) => heldOutLoss,
};

const signed = (value: number): string => `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(4)}`;
const gainText = (gain: Gain | null): string =>
  gain === null ? '' : `${signed(gain.value)} ${gain.verdict}`;

function rowsOf(whole: Arm, all: readonly Comparison[]): readonly (readonly string[])[] {
  return whole.points.flatMap((point) => {
    const head = [figure(whole.paramsActive), figure(point.tokens), whole.router ?? ''];
    const against = all.filter(
      ({ arm, router, point: { tokens } }) =>
        arm.paramsActive === whole.paramsActive && router === whole.router && tokens === point.tokens,
    );
    return [
      [...head, '1', point.loss.toFixed(4), '', '', '', ''],
      ...against.map(({ arm, point: { loss }, law, atTokens, atFlops, atSeconds }) => [
        ...head,
        arm.expansion === 1 ? 'dense' : String(arm.granularity),
        loss.toFixed(4),
        gainText(atTokens),
        law === null ? '' : signed(law),
        gainText(atFlops),
        gainText(atSeconds),
      ]),
    ];
  });
}

const describeNoise = (noise: Noise | null): string =>
  noise === null
    ? 'unknown: no model was trained with several seeds'
    : `${noise.numRuns} runs that differ in their seeds alone have a standard deviation of ${noise.deviation.toFixed(4)}; of two single runs a difference up to ${(2 * Math.SQRT2 * noise.deviation).toFixed(4)} is none`;

/** Files of the pictures, those that could be drawn. */
function drawAll(
  folder: string,
  arms: readonly Arm[],
  all: readonly Comparison[],
  law: string,
): readonly string[] {
  if (!existsSync(folder)) throw new UsageError(`--out '${folder}': there is no such folder; make it first`);
  const charts = {
    'loss-by-flops.svg': lossChart(arms, 'flops'),
    'loss-by-seconds.svg': lossChart(arms, 'seconds'),
    'gain.svg': gainChart(all, law),
  };
  return Object.entries(charts).flatMap(([name, chart]) => {
    if (chart === null) return [];
    const output = new OutputFile('--out', join(folder, name));
    output.write(drawLines(chart));
    return [output.path];
  });
}

/** Does a finer granularity win: real runs against whole experts, their noise and a law. */
export function compare(path: string, flags: CompareFlags): void {
  const runs = readRuns(path).map(measuredRun);
  const arms = armsOf(runs, lossOf[flags.loss]);
  const wholes = arms.filter(({ expansion, granularity }) => expansion > 1 && granularity === 1);
  const [first] = wholes;
  if (first === undefined)
    throw new ScalingRunsError(
      `${path}: no run has whole experts (granularity 1, expansion above 1)${flags.loss === 'held-out' ? ' and a held-out loss' : ''}; the others are compared with those`,
    );
  const noise = noiseOf(runs, lossOf[flags.loss]);
  const law = lawOfFlags({
    experts: first.expansion,
    ...(flags.law === undefined ? {} : { law: flags.law }),
  });
  const all = comparisons(arms, noise, law);
  const written = flags.out === undefined ? [] : drawAll(flags.out, arms, all, law.name);
  const isJson = flags.json === true;
  const warnings = warningsOf(
    law,
    { params: first.paramsTotal, tokens: first.points[0]?.tokens ?? 1 },
    first.expansion,
  );
  if (isJson) {
    printJson({
      event: 'compare',
      law: law.name,
      loss: flags.loss,
      noise,
      arms,
      comparisons: all.map(({ arm, point, ...rest }) => ({
        paramsActive: arm.paramsActive,
        expansion: arm.expansion,
        granularity: arm.granularity,
        ...point,
        ...rest,
      })),
      written,
      warnings,
    });
    return;
  }
  print(
    `runs   ${runs.length} of ${path}; ${flags.loss === 'train' ? 'training loss at the end' : 'held-out loss'}, nats a token`,
    `noise  ${describeNoise(noise)}`,
    `law    ${law.name} (${law.source}); of another corpus: its differences are compared, not its losses`,
    '',
    table(
      [
        'active',
        'tokens',
        'router',
        'G',
        'loss',
        'at equal tokens',
        'law',
        'at equal FLOPs',
        'at equal seconds',
      ],
      wholes.flatMap((whole) => rowsOf(whole, all)),
      3,
    ),
    '',
    'Differences are those of G 1 minus those of the row: above 0 the row is better. FLOPs are those of the law, routers among them.',
    ...written.map((file) => `wrote ${file}`),
  );
  warn(warnings, false);
}
