/** The head over parts of the vocabulary. */
import type { HeadFinishCall, HeadJoinCall, HeadPartialCall, OnHost } from '@troupe/kernel-set';
import type { ExactSum } from '../on-host.ts';
import { rangeError, type ArgumentCheck } from './argument-check.ts';
import { operand, rounding } from './bf16.ts';
import { addLeaves, addLossLeaf } from './exact-sum.ts';
import { intoTarget } from './gradient-target.ts';
import type { Kernel } from './kernel.ts';
import { addPairs, checkParts } from './partials.ts';

type HeadPartCall = OnHost<HeadPartialCall> | OnHost<HeadFinishCall>;

function checkPart(call: HeadPartCall, check: ArgumentCheck): void {
  const { tokens, dim, vocab, precision } = call;
  check.sizes({ tokens, firstVocab: call.firstVocab });
  check.size('dim', dim, 1);
  check.size('vocab', vocab, 1);
  check.precision(precision);
  check.operand('x_TD', call.x_TD, tokens * dim, precision);
  check.operand('head_VD', call.head_VD, vocab * dim, precision);
  check.ints('targets_T', call.targets_T, tokens);
  check.starts('grainStarts', call.grainStarts, tokens);
}

/** Targets lie anywhere in the vocabulary, or are -1. */
export function checkTargets(
  op: string,
  { targets_T, tokens }: Pick<HeadPartCall, 'targets_T' | 'tokens'>,
): void {
  for (let t = 0; t < tokens; t++)
    if (targets_T[t]! < -1) rangeError(op, 'targets_T', t, targets_T[t]!, 2 ** 31);
}

/** Calls `row` with the logits of each token, which die with the next. */
function eachLogits(call: HeadPartCall, row: (t: number, logits: Float64Array) => void): void {
  const { tokens, dim, vocab, precision } = call;
  const [x, head] = [operand(call.x_TD, precision), operand(call.head_VD, precision)];
  const logits = new Float64Array(vocab);
  for (let t = 0; t < tokens; t++) {
    for (let v = 0; v < vocab; v++) {
      let sum = 0;
      for (let d = 0; d < dim; d++) sum += x[t * dim + d]! * head[v * dim + d]!;
      logits[v] = sum;
    }
    row(t, logits);
  }
}

export const headPartial: Kernel<HeadPartialCall> = {
  check(call, check) {
    checkPart(call, check);
    for (const name of ['max_T', 'sum_T', 'logit_T'] as const) check.floats(name, call[name], call.tokens);
    if (call.logitSum_T !== undefined) check.floats('logitSum_T', call.logitSum_T, call.tokens);
  },
  run(call) {
    const { targets_T, firstVocab, max_T, sum_T, logit_T, logitSum_T } = call;
    checkTargets('head.partial', call);
    eachLogits(call, (t, logits) => {
      const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
      max_T[t] = largest;
      // From the stored maximum: that is what head.join knows.
      sum_T[t] = logits.reduce((sum, logit) => sum + Math.exp(logit - max_T[t]!), 0);
      logit_T[t] = logits[targets_T[t]! - firstVocab] ?? 0;
      if (logitSum_T !== undefined) logitSum_T[t] = logits.reduce((sum, logit) => sum + logit, 0);
    });
  },
};

export const headJoin: Kernel<HeadJoinCall> = {
  check(call, check) {
    const { tokens, parts } = call;
    check.sizes({ tokens });
    check.smoothing(call.smoothing);
    checkParts(parts, check);
    for (const [i, part] of parts.entries()) {
      check.size(`parts[${i}].firstVocab`, part.firstVocab);
      check.size(`parts[${i}].vocab`, part.vocab, 1);
      for (const name of ['max_T', 'sum_T', 'logit_T'] as const)
        check.floats(`parts[${i}].${name}`, part[name], tokens);
      if ((call.smoothing ?? 0) > 0) check.floats(`parts[${i}].logitSum_T`, part.logitSum_T, tokens);
    }
    check.ints('targets_T', call.targets_T, tokens);
    check.starts('grainStarts', call.grainStarts, tokens);
    check.floats('lse_T', call.lse_T, tokens);
    check.floats('loss_T', call.loss_T, tokens);
    if (call.lossSum !== undefined) check.int64s('lossSum', call.lossSum, 2);
    if (call.nllSum !== undefined) check.int64s('nllSum', call.nllSum, 2);
  },
  run(call) {
    const { parts, targets_T, grainStarts, lse_T, loss_T, lossSum, nllSum, smoothing = 0 } = call;
    const words = parts.reduce((sum, { vocab }) => sum + vocab, 0);
    checkTargets('head.join', call);
    for (let grain = 0; grain + 1 < grainStarts.length; grain++) {
      let [lossLeaf, nllLeaf] = [0, 0];
      for (let t = grainStarts[grain]!; t < grainStarts[grain + 1]!; t++) {
        const largest = parts.reduce((most, { max_T }) => Math.max(most, max_T[t]!), -Infinity);
        const terms = parts.map(({ max_T, sum_T }) => sum_T[t]! * Math.exp(max_T[t]! - largest));
        const lse = largest + Math.log(addPairs(terms, (sum) => sum));
        lse_T[t] = lse;
        const target = targets_T[t]!;
        const owner = parts.find(
          ({ firstVocab, vocab }) => target >= firstVocab && target < firstVocab + vocab,
        );
        if (target >= 0 && owner === undefined) rangeError('head.join', 'targets_T', t, target, words);
        const nll = owner === undefined ? 0 : lse - owner.logit_T[t]!;
        loss_T[t] = nll;
        if (owner !== undefined && smoothing > 0) {
          const sums = parts.map(({ logitSum_T }) => logitSum_T?.[t] ?? Number.NaN);
          loss_T[t] = nll + smoothing * (owner.logit_T[t]! - addPairs(sums, (sum) => sum) / words);
        }
        lossLeaf += loss_T[t]!;
        nllLeaf += nll;
      }
      if (lossSum !== undefined) addLossLeaf(lossSum, 0, lossLeaf);
      if (nllSum !== undefined) addLossLeaf(nllSum, 0, nllLeaf);
    }
  },
};

export const headFinish: Kernel<HeadFinishCall> = {
  check(call, check) {
    const { tokens, dim, vocab } = call;
    checkPart(call, check);
    check.floats('lse_T', call.lse_T, tokens);
    check.number('gradScale', call.gradScale);
    check.smoothing(call.smoothing);
    if ((call.smoothing ?? 0) > 0) check.size('fullVocab', call.fullVocab ?? Number.NaN, vocab);
    check.floats('dx_TD', call.dx_TD, tokens * dim);
    check.target('headSum', call.headSum, vocab * dim);
  },
  run(call) {
    checkTargets('head.finish', call);
    intoTarget(call.headSum, 0, call.vocab * call.dim, (sum) => addGradients(call, sum));
  },
};

function addGradients(call: OnHost<HeadFinishCall>, headSum: ExactSum): void {
  const { dim, vocab, firstVocab, targets_T, grainStarts, lse_T, gradScale, dx_TD, precision } = call;
  const { smoothing = 0, fullVocab = vocab } = call;
  const [x, head] = [operand(call.x_TD, precision), operand(call.head_VD, precision)];
  const round = rounding(precision);
  const leaf = new Float64Array(vocab * dim);
  const dx = new Float64Array(dim);
  let grain = 0;
  /** The leaves of all grains that end before row t. */
  const close = (t: number): void => {
    for (; grain + 1 < grainStarts.length && grainStarts[grain + 1]! <= t; grain++) {
      addLeaves(headSum, 0, leaf, leaf.length);
      leaf.fill(0);
    }
  };
  eachLogits(call, (t, logits) => {
    close(t);
    dx.fill(0);
    const target = targets_T[t]!;
    const numWords = target < 0 ? 0 : vocab;
    for (let v = 0; v < numWords; v++) {
      const wanted = (target === firstVocab + v ? 1 - smoothing : 0) + smoothing / fullVocab;
      const dLogit = round((Math.exp(logits[v]! - lse_T[t]!) - wanted) * gradScale);
      for (let d = 0; d < dim; d++) {
        dx[d]! += dLogit * head[v * dim + d]!;
        leaf[v * dim + d]! += dLogit * x[t * dim + d]!;
      }
    }
    dx_TD.set(dx, t * dim);
  });
  close(call.tokens);
}
