import { ScalingRunsError } from '../errors.ts';
import type { DenseLaw, GranularLaw } from '../law-set.ts';
import { denseLoss, granularLoss } from '../loss.ts';
import { fitPowerSum, type FitOptions, type Measured } from './power-sum.ts';
import type { RunRow } from './run-row.ts';

/** Coefficients of each law; fewer runs than that leave some of them open. */
const COEFFICIENTS = 7;
const DENSE_COEFFICIENTS = 4;

/** Places from which a fit starts: exponents and sizes of terms as published laws have them, below and above. */
const exponents = [0.1, 0.2, 0.4];

function mustBeEnough(runs: readonly RunRow[], least: number, what: string): void {
  if (runs.length < least)
    throw new ScalingRunsError(
      `${runs.length} runs of ${what} are fitted, and the law has ${least} coefficients; train at least ${least}`,
    );
}

/** Two different values of a term's variable at least, else its exponent is anything. */
function mustVary(runs: readonly RunRow[], fields: readonly (keyof RunRow)[]): void {
  for (const field of fields)
    if (new Set(runs.map((run) => run[field])).size < 2)
      throw new ScalingRunsError(`all runs have the same ${field}; a law in it needs at least two values`);
}

/** A term `exp(x - y·ln v)` that is as large as `size` in the middle of the runs. */
const sizeOfTerm = (
  runs: readonly RunRow[],
  field: 'paramsTotal' | 'tokens',
  size: number,
  exponent: number,
): number => {
  const logs = runs.map((run) => Math.log(run[field]));
  return Math.log(size) + (exponent * logs.reduce((sum, log) => sum + log, 0)) / logs.length;
};

/**
 * Fits `L = c + (g/G^γ + a)·N^-α + b·D^-β` to runs with experts.
 *
 * @param near - a law to start from instead of several places, for runs that are much the same
 * @throws {ScalingRunsError} TROUPE_SCALING_RUNS: too few runs, or all alike
 * @see arXiv:2402.07871, section 5.2
 */
export function fitGranular(
  runs: readonly RunRow[],
  options: FitOptions = {},
  near?: GranularLaw,
): GranularLaw {
  mustBeEnough(runs, COEFFICIENTS, 'experts');
  mustVary(runs, ['paramsTotal', 'tokens', 'granularity']);
  const measured = runs.map(({ paramsTotal, tokens, granularity, loss }): Measured => {
    const [n, d, grain] = [Math.log(paramsTotal), Math.log(tokens), Math.log(granularity)];
    // Coefficients: log a, α, log b, β, log g, γ, log c.
    const terms = [
      [0, -n, 0, 0, 1, -grain, 0],
      [1, -n, 0, 0, 0, 0, 0],
      [0, 0, 1, -d, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 1],
    ];
    return { terms, offset: 0, loss };
  });
  const lowest = Math.min(...runs.map(({ loss }) => loss));
  const starts =
    near === undefined
      ? exponents.map((exponent) => [
          sizeOfTerm(runs, 'paramsTotal', lowest / 3, exponent),
          exponent,
          sizeOfTerm(runs, 'tokens', lowest / 3, exponent),
          exponent,
          sizeOfTerm(runs, 'paramsTotal', lowest / 20, exponent),
          0.5,
          Math.log(lowest / 3),
        ])
      : [
          [
            Math.log(near.a),
            near.alpha,
            Math.log(near.b),
            near.beta,
            Math.log(near.g),
            near.gamma,
            Math.log(near.c),
          ],
        ];
  const [a = 0, alpha = 0, b = 0, beta = 0, g = 0, gamma = 0, c = 0] = fitPowerSum(measured, starts, options);
  return { a: Math.exp(a), alpha, b: Math.exp(b), beta, g: Math.exp(g), gamma, c: Math.exp(c) };
}

/**
 * Fits `L = c + a·N^-α + b·D^-β` to dense runs, with the c of the runs with experts: text has one entropy.
 *
 * @throws {ScalingRunsError} TROUPE_SCALING_RUNS: too few runs, or all alike
 */
export function fitDense(runs: readonly RunRow[], c: number, options: FitOptions = {}): DenseLaw {
  mustBeEnough(runs, DENSE_COEFFICIENTS, 'dense models');
  mustVary(runs, ['paramsTotal', 'tokens']);
  const measured = runs.map(({ paramsTotal, tokens, loss }): Measured => {
    const terms = [
      [1, -Math.log(paramsTotal), 0, 0],
      [0, 0, 1, -Math.log(tokens)],
    ];
    return { terms, offset: c, loss };
  });
  const lowest = Math.min(...runs.map(({ loss }) => loss));
  const starts = exponents.map((exponent) => [
    sizeOfTerm(runs, 'paramsTotal', lowest / 3, exponent),
    exponent,
    sizeOfTerm(runs, 'tokens', lowest / 3, exponent),
    exponent,
  ]);
  const [a = 0, alpha = 0, b = 0, beta = 0] = fitPowerSum(measured, starts, options);
  return { a: Math.exp(a), alpha, b: Math.exp(b), beta, c };
}

/** Loss of each run as a law has it. */
export const granularLosses = (law: GranularLaw, runs: readonly RunRow[]): readonly number[] =>
  runs.map(({ paramsTotal: params, tokens, granularity }) =>
    granularLoss(law, { params, tokens, granularity }),
  );
export const denseLosses = (law: DenseLaw, runs: readonly RunRow[]): readonly number[] =>
  runs.map(({ paramsTotal: params, tokens }) => denseLoss(law, { params, tokens }));

/** Root of the mean squared difference. */
export function rootMeanSquare(found: readonly number[], expected: readonly number[]): number {
  const squares = found.map((each, index) => (each - (expected[index] ?? Number.NaN)) ** 2);
  return Math.sqrt(squares.reduce((sum, each) => sum + each, 0) / squares.length);
}
