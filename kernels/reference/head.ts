import type { HeadLossCall, OnHost } from '@troupe/kernel-set';
import type { ExactSum, Floats } from '../on-host.ts';
import { rangeError } from './argument-check.ts';
import { operand, rounding } from './bf16.ts';
import { addLeaves, addLossLeaf } from './exact-sum.ts';
import { intoTarget } from './gradient-target.ts';
import type { Kernel } from './kernel.ts';

/**
 * loss_t = logsumexp(x_t·headᵀ) - logit of the target; dLogits = (softmax - onehot)·gradScale; a target of -1 gives
 * loss 0 and no gradient. Smoothing ε: loss + ε·(logit of the target - mean logit), onehot of 1 - ε, and ε/V everywhere.
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
    check.smoothing(call.smoothing);
    if (call.nllSum !== undefined) check.int64s('nllSum', call.nllSum, 2);
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
  const { dim, vocab, targets_T, grainStarts, loss_T, gradScale = 0, dx_TD, precision } = call;
  const { smoothing = 0 } = call;
  const x_TD = operand(call.x_TD, precision);
  const head_VD = operand(call.head_VD, precision);
  const round = rounding(precision);
  const logits = new Float64Array(vocab);
  const dx = new Float64Array(dim);
  const leaf = new Float64Array(headSum === null ? 0 : vocab * dim);
  for (let grain = 0; grain + 1 < grainStarts.length; grain++) {
    let [lossLeaf, nllLeaf] = [0, 0];
    leaf.fill(0);
    for (let t = grainStarts[grain]!; t < grainStarts[grain + 1]!; t++) {
      const target = targets_T[t]!;
      dx.fill(0);
      loss_T[t] = 0;
      if (target >= 0) {
        const { nll, above } = softmaxLoss(logits, x_TD, t * dim, head_VD, dim, target);
        const loss = smoothing === 0 ? nll : nll + smoothing * above;
        loss_T[t] = loss;
        lossLeaf += loss;
        nllLeaf += nll;
        for (let v = 0; v < vocab; v++) {
          if (dx_TD === undefined && headSum === null) break;
          const wanted = (v === target ? 1 - smoothing : 0) + smoothing / vocab;
          const dLogit = round((logits[v]! - wanted) * gradScale);
          for (let d = 0; d < dim; d++) dx[d]! += dLogit * head_VD[v * dim + d]!;
          if (headSum === null) continue;
          for (let d = 0; d < dim; d++) leaf[v * dim + d]! += dLogit * x_TD[t * dim + d]!;
        }
      }
      dx_TD?.set(dx, t * dim);
    }
    addLossLeaf(call.lossSum, 0, lossLeaf);
    if (call.nllSum !== undefined) addLossLeaf(call.nllSum, 0, nllLeaf);
    if (headSum !== null) addLeaves(headSum, 0, leaf, leaf.length);
  }
}

/** The plain loss of one token, and how far its target's logit is above the mean; leaves its probabilities in `logits`. */
function softmaxLoss(
  logits: Float64Array,
  x: Floats,
  xAt: number,
  head: Floats,
  dim: number,
  target: number,
): { readonly nll: number; readonly above: number } {
  let [largest, sumOfAll] = [-Infinity, 0];
  for (let v = 0; v < logits.length; v++) {
    let sum = 0;
    for (let d = 0; d < dim; d++) sum += x[xAt + d]! * head[v * dim + d]!;
    logits[v] = sum;
    sumOfAll += sum;
    largest = Math.max(largest, sum);
  }
  const targetLogit = logits[target]!;
  let total = 0;
  for (let v = 0; v < logits.length; v++) total += logits[v] = Math.exp(logits[v]! - largest);
  for (let v = 0; v < logits.length; v++) logits[v]! /= total;
  return { nll: largest + Math.log(total) - targetLogit, above: targetLogit - sumOfAll / logits.length };
}
