import type {
  LinearBackwardInputCall,
  LinearBackwardWeightCall,
  LinearForwardCall,
} from '@troupe/kernel-set';
import { rowsLayout } from './argument-check.ts';
import { operand, operandRows } from './bf16.ts';
import { addLeaves } from './exact-sum.ts';
import { intoTarget } from './gradient-target.ts';
import type { Kernel } from './kernel.ts';

/** out[M,N] = start + x[M,K]·weight[N,K]ᵀ; the start is out itself, a residual, or 0. */
export const linearForward: Kernel<LinearForwardCall> = {
  check({ rows, inDim, outDim, x, weight, out, accumulate, residual, precision }, check) {
    check.precision(precision);
    check.size('rows', rows);
    check.size('inDim', inDim, 1);
    check.size('outDim', outDim, 1);
    check.operandRows('x', x, rows, inDim, precision);
    check.operand('weight', weight, outDim * inDim, precision);
    check.rows('out', out, rows, outDim);
    if (residual !== undefined) {
      check.rows('residual', residual, rows, outDim);
      if (accumulate === true)
        check.fail('residual', 'given together with accumulate', 'one start of the chain');
    }
  },
  run({ rows, inDim, outDim, x, weight: stored, out, accumulate, residual, precision }) {
    const from = rowsLayout(x, inDim);
    const to = rowsLayout(out, outDim);
    const start = accumulate === true ? out : residual;
    const startAt = start === undefined ? to : rowsLayout(start, outDim);
    const xData = operandRows(x, precision);
    const weight = operand(stored, precision);
    for (let m = 0; m < rows; m++) {
      const xAt = from.offset + m * from.stride;
      for (let n = 0; n < outDim; n++) {
        let value = start === undefined ? 0 : start.data[startAt.offset + m * startAt.stride + n]!;
        const weightAt = n * inDim;
        for (let k = 0; k < inDim; k++) value += xData[xAt + k]! * weight[weightAt + k]!;
        out.data[to.offset + m * to.stride + n] = value;
      }
    }
  },
};

/** dx[M,K] = start + dOut[M,N]·weight[N,K]. */
export const linearBackwardInput: Kernel<LinearBackwardInputCall> = {
  check({ rows, inDim, outDim, dOut, weight, dx, precision }, check) {
    check.precision(precision);
    check.size('rows', rows);
    check.size('inDim', inDim, 1);
    check.size('outDim', outDim, 1);
    check.rows('dOut', dOut, rows, outDim);
    check.operand('weight', weight, outDim * inDim, precision);
    check.rows('dx', dx, rows, inDim);
  },
  run({ rows, inDim, outDim, dOut, weight: stored, dx, accumulate, precision }) {
    const from = rowsLayout(dOut, outDim);
    const to = rowsLayout(dx, inDim);
    const dOutData = operandRows(dOut, precision);
    const weight = operand(stored, precision);
    const chain = new Float64Array(inDim);
    for (let m = 0; m < rows; m++) {
      const dxAt = to.offset + m * to.stride;
      for (let k = 0; k < inDim; k++) chain[k] = accumulate === true ? dx.data[dxAt + k]! : 0;
      for (let n = 0; n < outDim; n++) {
        const upstream = dOutData[from.offset + m * from.stride + n]!;
        const weightAt = n * inDim;
        for (let k = 0; k < inDim; k++) chain[k]! += upstream * weight[weightAt + k]!;
      }
      for (let k = 0; k < inDim; k++) dx.data[dxAt + k] = chain[k]!;
    }
  },
};

/** weightSum[N,K] gets, for each grain, the leaf dOutᵀ·x. */
export const linearBackwardWeight: Kernel<LinearBackwardWeightCall> = {
  check({ rows, inDim, outDim, dOut, x, grainStarts, weightSum, precision }, check) {
    check.precision(precision);
    check.size('rows', rows);
    check.size('inDim', inDim, 1);
    check.size('outDim', outDim, 1);
    check.rows('dOut', dOut, rows, outDim);
    check.operandRows('x', x, rows, inDim, precision);
    check.starts('grainStarts', grainStarts, rows);
    check.target('weightSum', weightSum, outDim * inDim);
  },
  run({ inDim, outDim, dOut, x, grainStarts, weightSum, precision }) {
    const upstream = rowsLayout(dOut, outDim);
    const input = rowsLayout(x, inDim);
    const leaf = new Float64Array(outDim * inDim);
    const xData = operandRows(x, precision);
    const dOutData = operandRows(dOut, precision);
    intoTarget(weightSum, 0, leaf.length, (sum) => {
      for (let grain = 0; grain + 1 < grainStarts.length; grain++) {
        leaf.fill(0);
        for (let m = grainStarts[grain]!; m < grainStarts[grain + 1]!; m++) {
          const xAt = input.offset + m * input.stride;
          for (let n = 0; n < outDim; n++) {
            const value = dOutData[upstream.offset + m * upstream.stride + n]!;
            const leafAt = n * inDim;
            for (let k = 0; k < inDim; k++) leaf[leafAt + k]! += value * xData[xAt + k]!;
          }
        }
        addLeaves(sum, 0, leaf, leaf.length);
      }
    });
  },
};
