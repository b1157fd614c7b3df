import { muonWork, NEWTON_SCHULZ, type MuonCall, type OnHost } from '@troupe/kernel-set';
import type { Floats } from '../on-host.ts';
import { squaresOf } from './adafactor.ts';
import { gradientOf } from './exact-sum.ts';
import type { FloatType } from './float-type.ts';
import type { Kernel } from './kernel.ts';
import { linearBackwardInput, linearForward } from './linear.ts';

/** Keeps a norm away from 0. */
const LEAST = 1e-7;

/** One round over X [small, large] into `next`; `gram` and `mixed` are [small, small]. */
function round(
  { small, large }: { readonly small: number; readonly large: number },
  { x, next, gram, mixed }: Readonly<Record<'x' | 'next' | 'gram' | 'mixed', Floats>>,
  dtype: FloatType,
): void {
  const { linear, cubic, quintic } = NEWTON_SCHULZ;
  const square = { op: 'linear.forward', rows: small, outDim: small } as const;
  linearForward.run({ ...square, inDim: large, x: { data: x }, weight: x, out: { data: gram } }, dtype);
  linearForward.run(
    { ...square, inDim: small, x: { data: gram }, weight: gram, out: { data: mixed } },
    dtype,
  );
  for (let i = 0; i < mixed.length; i++) mixed[i] = quintic * mixed[i]! + cubic * gram[i]!;
  for (let i = 0; i < x.length; i++) next[i] = linear * x[i]!;
  const dims = { op: 'linear.backward.input', rows: small, outDim: small, inDim: large } as const;
  const call = { ...dims, dOut: { data: mixed }, weight: x, dx: { data: next }, accumulate: true };
  linearBackwardInput.run(call, dtype);
}

/** The step in X, [small, large], nearly orthogonal. */
function orthogonal({ rows, columns, work }: OnHost<MuonCall>, step: Floats, dtype: FloatType): Floats {
  const [small, large] = [Math.min(rows, columns), Math.max(rows, columns)];
  const size = small * large;
  const inverse = 1 / (Math.sqrt(squaresOf(step, dtype)) + LEAST);
  let [x, next] = [work.subarray(0, size), work.subarray(size, 2 * size)];
  const gram = work.subarray(2 * size, 2 * size + small ** 2);
  const mixed = work.subarray(2 * size + small ** 2, muonWork(rows, columns));
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++)
      x[rows > columns ? j * rows + i : i * columns + j] = step[i * columns + j]! * inverse;
  for (let count = 0; count < NEWTON_SCHULZ.rounds; count++) {
    round({ small, large }, { x, next, gram, mixed }, dtype);
    [x, next] = [next, x];
  }
  return x;
}

/** @see Jordan et al. 2024, Muon; Liu et al. 2025, arXiv:2502.16982 */
export const muon: Kernel<MuonCall> = {
  check(call, check) {
    const { rows, columns } = call;
    check.size('rows', rows, 1);
    check.size('columns', columns, 1);
    check.gradient('gradient', call.gradient);
    check.equal('gradient.length', call.gradient?.length ?? 0, rows * columns, 'rows · columns');
    for (const name of ['weights', 'out', 'm'] as const) {
      check.floats(name, call[name], 0);
      check.equal(`${name}.length`, call[name].length, rows * columns, 'rows · columns');
    }
    check.floats('work', call.work, muonWork(rows, columns));
    for (const name of ['gradScale', 'learningRate', 'weightDecay', 'momentum', 'scale'] as const)
      check.number(name, call[name]);
  },
  run(call, dtype) {
    const { weights, out, m, rows, columns, gradScale, learningRate, weightDecay, momentum, scale } = call;
    const gradient = gradientOf(call.gradient, dtype);
    const step = gradient.slice();
    for (let i = 0; i < step.length; i++) {
      const g = gradient[i]! * gradScale;
      m[i] = momentum * m[i]! + g;
      step[i] = call.nesterov ? momentum * m[i]! + g : m[i]!;
    }
    const keep = 1 - learningRate * weightDecay;
    const isStill = gradient.every((each) => each === 0);
    const x = isStill ? null : orthogonal(call, step, dtype);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) {
        const at = i * columns + j;
        const moved = x === null ? 0 : x[rows > columns ? j * rows + i : at]!;
        out[at] = weights[at]! * keep - learningRate * scale * moved;
      }
  },
};
