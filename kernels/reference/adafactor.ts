import { wideNumber } from '@troupe/core';
import { NORM_QUANTUM_LOG2, type AdafactorCall, type OnHost } from '@troupe/kernel-set';
import type { Floats } from '../on-host.ts';
import { gradientOf, sumSquares } from './exact-sum.ts';
import type { FloatType } from './float-type.ts';
import type { Kernel } from './kernel.ts';

/** Keeps second moments away from 0. */
const LEAST = 1e-30;
/** Smallest size of a tensor that a relative step is of. */
const LEAST_SIZE = 1e-3;

/** Σ x² as a vote has it. */
export function squaresOf(values: Floats, dtype: FloatType): number {
  const norm128 = new BigInt64Array(2);
  sumSquares.run({ op: 'sum.squares', gradient: values, norm128 }, dtype);
  return wideNumber(norm128, NORM_QUANTUM_LOG2);
}

const rms = (values: Floats, dtype: FloatType): number => Math.sqrt(squaresOf(values, dtype) / values.length);

function mean(values: Floats): number {
  let sum = 0;
  for (const each of values) sum += each;
  return sum / values.length;
}

/** Moments by row and column, and u into `work`. */
function factored(call: OnHost<AdafactorCall> & { readonly column: Floats }, g: Floats): void {
  const { rows, columns, row, column, beta2, work } = call;
  const sums = new Float64Array(columns);
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (let j = 0; j < columns; j++) {
      const square = g[i * columns + j]! ** 2;
      sum += square;
      sums[j]! += square;
    }
    row[i] = beta2 * row[i]! + (1 - beta2) * (sum / columns + LEAST);
  }
  for (let j = 0; j < columns; j++) column[j] = beta2 * column[j]! + (1 - beta2) * (sums[j]! / rows + LEAST);
  const whole = mean(row);
  for (let i = 0; i < rows; i++) {
    const root = Math.sqrt(row[i]! / whole);
    for (let j = 0; j < columns; j++)
      work[i * columns + j] = g[i * columns + j]! / root / Math.sqrt(column[j]!);
  }
}

/** Moments by element, and u into `work`. */
function whole({ row, beta2, work }: OnHost<AdafactorCall>, g: Floats): void {
  for (let i = 0; i < g.length; i++) {
    const moment = beta2 * row[i]! + (1 - beta2) * (g[i]! ** 2 + LEAST);
    row[i] = moment;
    work[i] = g[i]! / Math.sqrt(moment);
  }
}

/** @see Shazeer and Stern 2018, arXiv:1804.04235, algorithms 4 and 5 */
export const adafactor: Kernel<AdafactorCall> = {
  check(call, check) {
    const { rows, columns, row, column } = call;
    check.size('rows', rows, 1);
    check.size('columns', columns, 1);
    check.gradient('gradient', call.gradient);
    check.equal('gradient.length', call.gradient?.length ?? 0, rows * columns, 'rows · columns');
    for (const name of ['weights', 'out'] as const) {
      check.floats(name, call[name], 0);
      check.equal(`${name}.length`, call[name].length, rows * columns, 'rows · columns');
    }
    check.floats('row', row, 0);
    check.equal('row.length', row.length, column === undefined ? rows * columns : rows, 'what is kept');
    if (column !== undefined) {
      check.floats('column', column, 0);
      check.equal('column.length', column.length, columns, 'columns');
    }
    check.floats('work', call.work, rows * columns);
    for (const name of ['gradScale', 'learningRate', 'weightDecay', 'beta2'] as const)
      check.number(name, call[name]);
  },
  run(call, dtype) {
    const { weights, out, gradScale, learningRate, weightDecay, relative, column } = call;
    const length = weights.length;
    const g = gradientOf(call.gradient, dtype).map((each) => each * gradScale);
    if (column === undefined) whole(call, g);
    else factored({ ...call, column }, g);
    const u = call.work.subarray(0, length);
    const size = relative ? Math.max(LEAST_SIZE, rms(weights, dtype)) : 1;
    const rate = (learningRate * size) / Math.max(1, rms(u, dtype));
    const keep = 1 - learningRate * weightDecay;
    for (let i = 0; i < length; i++) out[i] = weights[i]! * keep - rate * u[i]!;
  },
};
