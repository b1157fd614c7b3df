import type { MeasuredRun } from './measured-run.ts';

/** Runs of one model and one number of tokens, which differ in their seeds alone. */
export interface ArmPoint {
  readonly tokens: number;
  readonly flops: number;
  /** null: not known of every run. */
  readonly seconds: number | null;
  /** Mean over the seeds. */
  readonly loss: number;
  readonly numRuns: number;
}

/** A model, and its losses by tokens. */
export interface Arm {
  readonly paramsActive: number;
  readonly paramsTotal: number;
  /** 1: a dense model. */
  readonly expansion: number;
  readonly granularity: number;
  readonly router: string | null;
  /** By rising tokens. */
  readonly points: readonly ArmPoint[];
}

/** How far runs that differ in their seeds alone lie apart. */
export interface Noise {
  /** Standard deviation of a run's loss, pooled over the models that were trained with several seeds. */
  readonly deviation: number;
  readonly numRuns: number;
}

/** Which loss of a run is looked at; null: the run has none. */
export type LossOf = (run: MeasuredRun) => number | null;

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function grouped<T>(items: readonly T[], keyOf: (item: T) => string): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return [...groups.values()];
}

const modelKey = ({ paramsActive, paramsTotal, expansion, granularity, router }: MeasuredRun): string =>
  [paramsActive, paramsTotal, expansion, granularity, router].join(' ');
const pointKey = (run: MeasuredRun): string => `${modelKey(run)} ${run.tokens}`;

function pointOf(runs: readonly MeasuredRun[], lossOf: LossOf): ArmPoint | null {
  const losses = runs.flatMap((run) => lossOf(run) ?? []);
  const [first] = runs;
  if (first === undefined || losses.length === 0) return null;
  const seconds = runs.flatMap((run) => run.seconds ?? []);
  return {
    tokens: first.tokens,
    flops: first.flops,
    seconds: seconds.length === runs.length ? mean(seconds) : null,
    loss: mean(losses),
    numRuns: losses.length,
  };
}

/** The models that were trained, by size, dense ones first, then by router and granularity. */
export function armsOf(runs: readonly MeasuredRun[], lossOf: LossOf): readonly Arm[] {
  const arms = grouped(runs, modelKey).flatMap((ofModel): readonly Arm[] => {
    const [first] = ofModel;
    const points = grouped(ofModel, pointKey)
      .flatMap((group) => pointOf(group, lossOf) ?? [])
      .toSorted((a, b) => a.tokens - b.tokens);
    if (first === undefined || points.length === 0) return [];
    const { paramsActive, paramsTotal, expansion, granularity, router } = first;
    return [{ paramsActive, paramsTotal, expansion, granularity, router, points }];
  });
  return arms.toSorted(
    (a, b) =>
      a.paramsActive - b.paramsActive ||
      a.expansion - b.expansion ||
      (a.router ?? '').localeCompare(b.router ?? '') ||
      a.granularity - b.granularity,
  );
}

/** The noise of runs; null when none was repeated with another seed. */
export function noiseOf(runs: readonly MeasuredRun[], lossOf: LossOf): Noise | null {
  let [squares, freedom, numRuns] = [0, 0, 0];
  for (const group of grouped(runs, pointKey)) {
    const losses = group.flatMap((run) => lossOf(run) ?? []);
    if (losses.length < 2) continue;
    const middle = mean(losses);
    squares += losses.reduce((sum, loss) => sum + (loss - middle) ** 2, 0);
    freedom += losses.length - 1;
    numRuns += losses.length;
  }
  return freedom === 0 ? null : { deviation: Math.sqrt(squares / freedom), numRuns };
}
