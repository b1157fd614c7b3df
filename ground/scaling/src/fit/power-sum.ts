import { minimise, type Objective } from './bfgs.ts';

/**
 * One measured loss as a sum of exponentials of linear forms, which is what a law of powers is in the logarithms of its coefficients:
 * `a·N^-α = exp(log a - α ln N)`.
 */
export interface Measured {
  /** A row for each term: what each coefficient is multiplied with in its exponent. */
  readonly terms: readonly (readonly number[])[];
  /** What is not fitted. */
  readonly offset: number;
  readonly loss: number;
}

export interface FitOptions {
  /** Difference from which a run counts in proportion instead of squared, nats. Default 0.1. */
  readonly delta?: number;
  /** Half of it times the sum of squared coefficients is added. Default 5e-4. */
  readonly weightDecay?: number;
  /** Differences of the logarithms of losses. Default: of losses. */
  readonly ofLogs?: boolean;
}

/** @returns value and slope of Huber's function of a difference */
const huber = (difference: number, delta: number): readonly [number, number] =>
  Math.abs(difference) <= delta
    ? [difference ** 2 / 2, difference]
    : [delta * (Math.abs(difference) - delta / 2), delta * Math.sign(difference)];

function objectiveOf(
  runs: readonly Measured[],
  { delta = 0.1, weightDecay = 5e-4, ofLogs = false }: FitOptions,
): Objective {
  return (at) => {
    const slope = at.map((each) => weightDecay * each);
    let value = at.reduce((sum, each) => sum + (weightDecay / 2) * each ** 2, 0);
    for (const { terms, offset, loss } of runs) {
      const parts = terms.map((row) => Math.exp(row.reduce((sum, each, i) => sum + each * (at[i] ?? 0), 0)));
      const predicted = parts.reduce((sum, part) => sum + part, offset);
      const difference = ofLogs ? Math.log(predicted / loss) : predicted - loss;
      const [cost, steepness] = huber(difference, delta);
      value += cost;
      const outer = ofLogs ? steepness / predicted : steepness;
      for (const [term, row] of terms.entries())
        for (const [i, each] of row.entries()) slope[i] = (slope[i] ?? 0) + outer * (parts[term] ?? 0) * each;
    }
    return { value, slope };
  };
}

/** The coefficients that fit best, from the best of several starts: the function has more than one valley. */
export function fitPowerSum(
  runs: readonly Measured[],
  starts: readonly (readonly number[])[],
  options: FitOptions,
): readonly number[] {
  const objective = objectiveOf(runs, options);
  const found = starts.map((start) => minimise(objective, start));
  return found.reduce((best, each) => (objective(each).value < objective(best).value ? each : best));
}
