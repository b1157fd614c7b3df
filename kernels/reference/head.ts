import type { HeadLossCall, OnHost } from '@troupe/kernel-set';
import type { ExactSum, Floats } from '../on-host.ts';
import { rangeError } from './argument-check.ts';
import { operand, rounding } from './bf16.ts';
import { addLeaves, addLossLeaf } from './exact-sum.ts';
import { intoTarget } from './gradient-target.ts';
import type { Kernel } from './kernel.ts';

/**
 * loss_t = logsumexp(x_t·headᵀ) - logit of the target; dLogits = (softmax - onehot)·gradScale; a target of -1 gives
 * loss 0 and no gradient.
 */
export const headLoss: Kernel<HeadLossCall> = {
  check(call, check) {
    const { tokens, dim, vocab, gradScale, dx_TD, headSum } = call;
    check.sizes({ tokens });
    check.size('dim', dim, 1);
    check.size('vocab', vocab, 1);
    check.precision(call.precision);
    check.operand('x_TD', call.x_TD, tokens * dim, call.precision);
    check.operand('head_VD', call.head_VD, vocab * dim, call.precision);
    check.ints('targets_T', call.targets_T, tokens);
    check.starts('grainStarts', call.grainStarts, tokens);
    check.floats('loss_T', call.loss_T, tokens);
    check.int64s('lossSum', call.lossSum, 2);
    if (dx_TD !== undefined) check.floats('dx_TD', dx_TD, tokens * dim);
    if (headSum !== undefined) check.target('headSum', headSum, vocab * dim);
    if (dx_TD !== undefined || headSum !== undefined) {
      check.number('gradScale', gradScale ?? Number.NaN);
    }
  },
  run(call) {
    const { tokens, dim, vocab, targets_T, headSum } = call;
    for (let t = 0; t < tokens; t++) {
      const target = targets_T[t]!;
      if (target < -1 || target >= vocab) rangeError('head.loss', 'targets_T', t, target, vocab);
    }
    if (headSum === undefined) addGrains(call, null);
    else intoTarget(headSum, 0, vocab * dim, (sum) => addGrains(call, sum));
  },
};

/** Losses, dx and, where there is a sum, the head's leaf of each grain. */
function addGrains(call: OnHost<HeadLossCall>, headSum: ExactSum | null): void {
  const { dim, vocab, targets_T, grainStarts, loss_T, lossSum, gradScale = 0, dx_TD, precision } = call;
  const x_TD = operand(call.x_TD, precision);
  const head_VD = operand(call.head_VD, precision);
  const round = rounding(precision);
  const logits = new Float64Array(vocab);
  const dx = new Float64Array(dim);
  const leaf = new Float64Array(headSum === null ? 0 : vocab * dim);
  for (let grain = 0; grain + 1 < grainStarts.length; grain++) {
    let lossLeaf = 0;
    leaf.fill(0);
    for (let t = grainStarts[grain]!; t < grainStarts[grain + 1]!; t++) {
      const target = targets_T[t]!;
      dx.fill(0);
      loss_T[t] = 0;
      if (target >= 0) {
        const loss = softmaxLoss(logits, x_TD, t * dim, head_VD, dim, target);
        loss_T[t] = loss;
        lossLeaf += loss;
        for (let v = 0; v < vocab; v++) {
          if (dx_TD === undefined && headSum === null) break;
          const dLogit = round((logits[v]! - (v === target ? 1 : 0)) * gradScale);
          for (let d = 0; d < dim; d++) dx[d]! += dLogit * head_VD[v * dim + d]!;
          if (headSum === null) continue;
          for (let d = 0; d < dim; d++) leaf[v * dim + d]! += dLogit * x_TD[t * dim + d]!;
        }
      }
      dx_TD?.set(dx, t * dim);
    }
    addLossLeaf(lossSum, 0, lossLeaf);
    if (headSum !== null) addLeaves(headSum, 0, leaf, leaf.length);
  }
}

/** Returns the loss of one token and leaves its probabilities in `logits`. */
function softmaxLoss(
  logits: Float64Array,
  x: Floats,
  xAt: number,
  head: Floats,
  dim: number,
  target: number,
): number {
  let largest = -Infinity;
  for (let v = 0; v < logits.length; v++) {
    let sum = 0;
    for (let d = 0; d < dim; d++) sum += x[xAt + d]! * head[v * dim + d]!;
    logits[v] = sum;
    largest = Math.max(largest, sum);
  }
  const targetLogit = logits[target]!;
  let total = 0;
  for (let v = 0; v < logits.length; v++) total += logits[v] = Math.exp(logits[v]! - largest);
  for (let v = 0; v < logits.length; v++) logits[v]! /= total;
  return largest + Math.log(total) - targetLogit;
}
