import { prng } from '@troupe/core';
import type { GranularLaw } from '../law-set.ts';
import { fitGranular, granularLosses, rootMeanSquare } from './fit-laws.ts';
import type { FitOptions } from './power-sum.ts';
import type { RunRow } from './run-row.ts';

/** A fit that has not seen the runs with the lowest losses, and how far it is off on both. */
export interface HeldOut {
  readonly law: GranularLaw;
  readonly fitted: { readonly runs: number; readonly rmse: number };
  readonly heldOut: { readonly runs: number; readonly rmse: number };
}

/** Share of the runs that is held out, those with the lowest losses: what a law is for is larger than what it saw. */
const HELD_OUT = 0.2;

/** @throws {ScalingRunsError} TROUPE_SCALING_RUNS: too few runs are left */
export function holdOut(runs: readonly RunRow[], options: FitOptions = {}): HeldOut {
  const byLoss = runs.toSorted((a, b) => a.loss - b.loss);
  const numHeldOut = Math.round(byLoss.length * HELD_OUT);
  const [last, rest] = [byLoss.slice(0, numHeldOut), byLoss.slice(numHeldOut)];
  const law = fitGranular(rest, options);
  const off = (some: readonly RunRow[]) => ({
    runs: some.length,
    rmse: rootMeanSquare(
      granularLosses(law, some),
      some.map(({ loss }) => loss),
    ),
  });
  return { law, fitted: off(rest), heldOut: off(last) };
}

export interface ResampleOptions extends FitOptions {
  /** Fits. Default 100. */
  readonly times?: number;
  /** Share of the runs that each of them sees, drawn without returning any. Default 0.8. */
  readonly share?: number;
  readonly seed?: number;
}

/** Runs in an order that only seed and number decide. */
function shuffled(runs: readonly RunRow[], seed: number, time: number): readonly RunRow[] {
  const draw = prng({ seed, purpose: 'scaling.resample', step: time });
  const order = [...runs];
  for (let last = order.length - 1; last > 0; last--) {
    const other = draw.integer(last, last + 1);
    const [a, b] = [order[last], order[other]];
    if (a !== undefined && b !== undefined) [order[last], order[other]] = [b, a];
  }
  return order;
}

/**
 * Laws fitted to parts of the runs: how far they differ is how well the runs decide.
 *
 * @throws {ScalingRunsError} TROUPE_SCALING_RUNS: a part is too small
 */
export function resampledLaws(
  runs: readonly RunRow[],
  near: GranularLaw,
  { times = 100, share = 0.8, seed = 1, ...options }: ResampleOptions = {},
): readonly GranularLaw[] {
  const size = Math.round(runs.length * share);
  return Array.from({ length: times }, (_, time) =>
    fitGranular(shuffled(runs, seed, time).slice(0, size), options, near),
  );
}

/** The value below which a share of all lie, between neighbours in proportion. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)] ?? Number.NaN, sorted[Math.ceil(at)] ?? Number.NaN];
  return low + (high - low) * (at - Math.floor(at));
}
