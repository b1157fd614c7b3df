import {
  bestAtFlops,
  denseLosses,
  fitDense,
  fitGranular,
  granularLosses,
  holdOut,
  measuredRun,
  percentile,
  resampledLaws,
  rootMeanSquare,
  ScalingRunsError,
  type FitOptions,
  type GranularLaw,
  type LawSet,
  type RunRow,
} from '@troupe/scaling';
import { table } from '@troupe/topology';
import { OutputFile } from '../output-file.ts';
import { print, printJson } from '../output.ts';
import type { CommonOptions } from '../verb.ts';
import { figure } from './figure.ts';
import { readRuns } from './read-runs.ts';

export interface FitFlags extends CommonOptions {
  readonly out?: string;
  readonly name: string;
  readonly experts?: number;
  readonly router?: string;
  readonly bootstrap: number;
  readonly seed: number;
  readonly delta: number;
  readonly weightDecay: number;
  readonly logLoss?: boolean;
}

/** Fewest dense runs that a dense law is fitted to. */
const DENSE_RUNS = 4;
/** Times the FLOPs of the largest run at which intervals are shown. */
const REACH = [1, 10, 100];

const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), 0);
const losses = (runs: readonly RunRow[]): readonly number[] => runs.map(({ loss }) => loss);

/** The runs with experts of one expansion, and the dense ones. */
function sorted(runs: readonly RunRow[], experts: number | undefined) {
  const expansions = [...new Set(runs.map(({ expansion }) => expansion))].filter((each) => each > 1);
  const [expansion, other] = experts === undefined ? expansions : [experts];
  if (expansion === undefined)
    throw new ScalingRunsError(
      'no run has experts: expansion is 1 everywhere, and the dense law takes its c from runs with experts',
    );
  if (other !== undefined)
    throw new ScalingRunsError(
      `runs with expansions ${expansions.join(', ')}, and a law has one; choose with --experts ${expansion}`,
    );
  return {
    expansion,
    moe: runs.filter((run) => run.expansion === expansion),
    dense: runs.filter((run) => run.expansion === 1),
  };
}

/** Routers of runs with experts, of those that say it. */
const routersOf = (runs: readonly RunRow[]): readonly string[] =>
  [...new Set(runs.map((run) => measuredRun(run).router))].filter((router) => router !== null).toSorted();

/** Dense runs, and those with the router. */
function withRouter(runs: readonly RunRow[], router: string | undefined): readonly RunRow[] {
  if (router === undefined) return runs;
  const known = routersOf(runs);
  if (!known.includes(router))
    throw new ScalingRunsError(`no run has the router ${router}; there are ${known.join(', ') || 'none'}`);
  return runs.filter((run) => run.expansion === 1 || measuredRun(run).router === router);
}

/** What the law says of larger budgets, and between which bounds laws fitted to parts of the runs say it. */
function forecasts(
  law: GranularLaw,
  parts: readonly GranularLaw[],
  expansion: number,
  runs: readonly RunRow[],
) {
  const largest = most(runs.map(({ paramsActive, tokens }) => 6 * paramsActive * tokens));
  return REACH.map((times) => {
    const flops = largest * times;
    const best = bestAtFlops({ law, expansion }, flops);
    const others = parts.map((part) => bestAtFlops({ law: part, expansion }, flops));
    const between = (value: (each: typeof best) => number): readonly [number, number] | null =>
      others.length === 0 ? null : [percentile(others.map(value), 0.1), percentile(others.map(value), 0.9)];
    return {
      flops,
      granularity: best.granularity,
      paramsActive: best.paramsActive,
      tokens: best.tokens,
      loss: best.loss,
      granularityBetween: between(({ granularity }) => granularity),
      tokensBetween: between(({ tokens }) => tokens),
      lossBetween: between(({ loss }) => loss),
    };
  });
}

type Forecast = ReturnType<typeof forecasts>[number];

const span = (between: readonly [number, number] | null, shown: (value: number) => string): string =>
  between === null ? '' : `${shown(between[0])} to ${shown(between[1])}`;

const forecastRow = (each: Forecast): readonly string[] => [
  each.flops.toExponential(2),
  `${each.granularity}`,
  figure(each.paramsActive),
  figure(each.tokens),
  span(each.tokensBetween, figure),
  each.loss.toFixed(4),
  span(each.lossBetween, (loss) => loss.toFixed(4)),
];

export function fit(path: string, flags: FitFlags): void {
  const output = flags.out === undefined ? null : new OutputFile('--out', flags.out);
  const runs = withRouter(readRuns(path), flags.router);
  const { expansion, moe, dense } = sorted(runs, flags.experts);
  const options: FitOptions = {
    delta: flags.delta,
    weightDecay: flags.weightDecay,
    ofLogs: flags.logLoss === true,
  };
  const granular = fitGranular(moe, options);
  const denseLaw = dense.length < DENSE_RUNS ? null : fitDense(dense, granular.c, options);
  const held = moe.length < 10 ? null : holdOut(moe, options);
  const parts =
    flags.bootstrap === 0
      ? []
      : resampledLaws(moe, granular, { ...options, times: flags.bootstrap, seed: flags.seed });
  const rmse = {
    granular: rootMeanSquare(granularLosses(granular, moe), losses(moe)),
    dense: denseLaw === null ? null : rootMeanSquare(denseLosses(denseLaw, dense), losses(dense)),
  };
  const set: LawSet = {
    name: flags.name,
    source: `troupe scaling fit ${path}`,
    note: `${moe.length} runs with experts, ${dense.length} dense ones; root mean square error ${rmse.granular.toPrecision(3)} nats.`,
    fitted: {
      paramsMost: most(moe.map(({ paramsTotal }) => paramsTotal)),
      tokensMost: most(moe.map(({ tokens }) => tokens)),
    },
    expansion,
    granular,
    ...(denseLaw === null ? {} : { dense: denseLaw }),
  };
  output?.write(`${JSON.stringify(set, null, 2)}\n`);
  const ahead = forecasts(granular, parts, expansion, moe);
  if (flags.json === true) {
    const heldOut = held === null ? null : { fitted: held.fitted, heldOut: held.heldOut };
    printJson({
      event: 'fit',
      runs: moe.length,
      denseRuns: dense.length,
      law: set,
      rmse,
      heldOut,
      forecasts: ahead,
    });
    return;
  }
  const shown = (law: object): string =>
    Object.entries(law)
      .map(([name, value]) => `${name} ${Number(value).toPrecision(4)}`)
      .join('  ');
  print(
    `runs      ${moe.length} with experts of expansion ${expansion}, ${dense.length} dense`,
    ...(routersOf(moe).length > 1
      ? [`          of ${routersOf(moe).join(' and ')} together; --router takes one of them`]
      : []),
    `granular  ${shown(granular)}`,
    `          root mean square error ${rmse.granular.toFixed(4)} nats`,
    ...(denseLaw === null
      ? [`dense     not fitted: it takes ${DENSE_RUNS} dense runs (expansion 1)`]
      : [`dense     ${shown(denseLaw)}`, `          root mean square error ${rmse.dense?.toFixed(4)} nats`]),
    held === null
      ? 'hold-out  none: it takes 10 runs with experts'
      : `hold-out  fitted to ${held.fitted.runs} runs (${held.fitted.rmse.toFixed(4)}), the ${held.heldOut.runs} with the lowest losses are off by ${held.heldOut.rmse.toFixed(4)}`,
    '',
    table(['FLOPs', 'G', 'active', 'tokens', '10 to 90 %', 'loss', '10 to 90 %'], ahead.map(forecastRow), 0),
    ...(output === null
      ? []
      : [
          '',
          `wrote ${output.path}; next: npx troupe scaling optimal --law ./${output.path} --flops ${ahead[1]?.flops.toExponential(2)}`,
        ]),
  );
}
