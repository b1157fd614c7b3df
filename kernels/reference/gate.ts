import { routerScores, type GateBackwardCall, type GateForwardCall, type OnHost } from '@troupe/kernel-set';
import { rangeError, type ArgumentCheck } from './argument-check.ts';
import { expertsByKey } from './expert-keys.ts';
import type { Kernel } from './kernel.ts';

/** Keeps a sum of sigmoid scores from 0, as DeepSeek-V3 does. */
const SMALLEST_SUM = 1e-20;

/** What chosen scores are divided by. */
export function divisorOf(
  { renormalise, topK, scores }: Pick<GateForwardCall, 'renormalise' | 'topK' | 'scores'>,
  chosen: number,
): number {
  if (!renormalise || topK === 1) return 1;
  if (scores === 'sigmoid') return chosen + SMALLEST_SUM;
  return chosen > 0 ? chosen : 1;
}

/** Checks what is optional of a gate's calls. */
export function checkScores(
  { scores, scale }: Pick<GateForwardCall, 'scores' | 'scale'>,
  check: ArgumentCheck,
): void {
  if (scores !== undefined) check.oneOf('scores', scores, routerScores);
  if (scale !== undefined) check.number('scale', scale);
}

function checkGroups(call: OnHost<GateForwardCall>, check: ArgumentCheck): void {
  const { experts, topK, choicesGiven, expertGroups = 1, topGroups = expertGroups, bias_E } = call;
  const isRun = Number.isSafeInteger(expertGroups) && expertGroups > 0 && experts % expertGroups === 0;
  if (!isRun) check.fail('expertGroups', String(expertGroups), `a divisor of experts, ${experts}`);
  if (!Number.isSafeInteger(topGroups) || topGroups < 1 || topGroups > expertGroups)
    check.fail('topGroups', String(topGroups), `1 to expertGroups, ${expertGroups}`);
  const kept = (experts / expertGroups) * topGroups;
  if (topK > kept && !choicesGiven)
    check.fail('topK', String(topK), `at most the experts of topGroups, ${kept}`);
  if (bias_E !== undefined) check.floats('bias_E', bias_E, experts);
}

/** The k largest logits, ties to the lower expert, in falling order. */
function expertsByLogit(logits: ArrayLike<number>, topK: number): readonly number[] {
  const isTaken = new Uint8Array(logits.length);
  return Array.from({ length: topK }, () => {
    let best = -1;
    for (let e = 0; e < logits.length; e++)
      if (isTaken[e] === 0 && (best < 0 || logits[e]! > logits[best]!)) best = e;
    isTaken[best] = 1;
    return best;
  });
}

/** The experts of a token, from its logits and scores. */
function chosenExperts(
  { topK, scores, expertGroups = 1, topGroups = expertGroups, bias_E }: OnHost<GateForwardCall>,
  logits: ArrayLike<number>,
  probs: Float64Array,
): readonly number[] {
  if (scores !== 'sigmoid' && expertGroups === 1 && bias_E === undefined) return expertsByLogit(logits, topK);
  const keys = Float32Array.from(probs, (score, e) => {
    const key = Math.fround(Math.fround(score) + (bias_E?.[e] ?? 0));
    return Number.isNaN(key) ? -Infinity : key;
  });
  return expertsByKey({ keys, expertGroups, topGroups }, topK);
}

/** exp(logit - top) / Σ, which it also is where the scores are others. */
function softmax(logits: ArrayLike<number>, out: Float64Array): void {
  let largest = -Infinity;
  for (let e = 0; e < out.length; e++) largest = Math.max(largest, logits[e]!);
  let total = 0;
  for (let e = 0; e < out.length; e++) total += out[e] = Math.exp(logits[e]! - largest);
  for (let e = 0; e < out.length; e++) out[e]! /= total;
}

/**
 * probs = softmax(logits) or sigmoid(logits); the k best experts; weights = their scores, divided by their sum when `renormalise` and
 * K > 1, times `scale`.
 *
 * @see Shazeer et al. 2017, arXiv:1701.06538, eq. 3–5; Jiang et al. 2024, arXiv:2401.04088 (renormalised); DeepSeek-AI 2024,
 * arXiv:2412.19437, §2.1.2 (sigmoid, groups, bias)
 */
export const gateForward: Kernel<GateForwardCall> = {
  check(call, check) {
    const { tokens, experts, topK, logits_TE, valid_T, choicesGiven, probs_TE, choices_TK, weights_TK } =
      call;
    check.sizes({ tokens });
    check.size('experts', experts, 1);
    check.size('topK', topK, 1);
    if (topK > experts && !choicesGiven) check.fail('topK', String(topK), `at most experts, ${experts}`);
    checkScores(call, check);
    checkGroups(call, check);
    check.floats('logits_TE', logits_TE, tokens * experts);
    check.floats('probs_TE', probs_TE, tokens * experts);
    check.ints('choices_TK', choices_TK, tokens * topK);
    check.floats('weights_TK', weights_TK, tokens * topK);
    if (valid_T !== undefined) check.bytes('valid_T', valid_T, tokens);
  },
  run(call) {
    const { tokens, experts, topK, scores, scale = 1, logits_TE, valid_T, choicesGiven } = call;
    const { probs_TE, choices_TK, weights_TK } = call;
    if (choicesGiven) checkChoices('gate.forward', choices_TK, tokens * topK, experts);
    const probs = new Float64Array(experts);
    for (let t = 0; t < tokens; t++) {
      const logits = logits_TE.subarray(t * experts, (t + 1) * experts);
      if (scores === 'sigmoid') for (let e = 0; e < experts; e++) probs[e] = 1 / (1 + Math.exp(-logits[e]!));
      else softmax(logits, probs);
      probs_TE.set(probs, t * experts);

      const valid = valid_T === undefined || valid_T[t] !== 0;
      if (!valid) {
        choices_TK.fill(-1, t * topK, (t + 1) * topK);
        weights_TK.fill(0, t * topK, (t + 1) * topK);
        continue;
      }
      if (!choicesGiven) choices_TK.set(chosenExperts(call, logits, probs), t * topK);
      let chosen = 0;
      for (let k = 0; k < topK; k++)
        chosen += choices_TK[t * topK + k]! < 0 ? 0 : probs[choices_TK[t * topK + k]!]!;
      const divisor = divisorOf(call, chosen);
      for (let k = 0; k < topK; k++) {
        const expert = choices_TK[t * topK + k]!;
        weights_TK[t * topK + k] = expert < 0 ? 0 : (probs[expert]! / divisor) * scale;
      }
    }
  },
};

/** Choices are experts or -1. */
export function checkChoices(op: string, choices: Int32Array, count: number, experts: number): void {
  for (let i = 0; i < count; i++) {
    const choice = choices[i]!;
    if (choice < -1 || choice >= experts) rangeError(op, 'choices_TK', i, choice, experts);
  }
}

/** Gradient of a token's scores: what combine weights and the balance loss ask of them. */
function scoreGradients(
  call: OnHost<GateBackwardCall>,
  t: number,
  { probs, balance }: { readonly probs: ArrayLike<number>; readonly balance: Float64Array },
  dProbs: Float64Array,
): void {
  const { topK, scores, scale = 1, choices_TK, weights_TK, dWeights_TK } = call;
  dProbs.set(balance);
  if (scores === 'sigmoid') throughShares(probs, dProbs);
  let chosen = 0;
  let meeting = 0;
  for (let k = 0; k < topK; k++) {
    const expert = choices_TK[t * topK + k]!;
    if (expert < 0) continue;
    chosen += probs[expert]!;
    meeting += dWeights_TK[t * topK + k]! * weights_TK[t * topK + k]!;
  }
  const divisor = divisorOf(call, chosen);
  const isDivided = call.renormalise && topK > 1 && chosen > 0;
  for (let k = 0; k < topK; k++) {
    const expert = choices_TK[t * topK + k]!;
    const upstream = dWeights_TK[t * topK + k]! * scale;
    if (expert >= 0) dProbs[expert]! += isDivided ? (upstream - meeting) / divisor : upstream;
  }
}

/** From the gradient of s_e / Σ_j s_j to that of s_e, in place. */
function throughShares(scores: ArrayLike<number>, gradient: Float64Array): void {
  let total = 0;
  let projection = 0;
  for (let e = 0; e < gradient.length; e++) {
    total += scores[e]!;
    projection += scores[e]! * gradient[e]!;
  }
  for (let e = 0; e < gradient.length; e++)
    gradient[e] = total > 0 ? (gradient[e]! - projection / total) / total : 0;
}

/**
 * With w_k = c·p_k / Σ p when renormalised: dp_k = (c·dw_k - Σ_j dw_j·w_j) / Σ p, else dp_k = c·dw_k. Balance: dp_e += auxScale·E·f_e/n,
 * of sigmoid scores through p_e = s_e / Σ s. Softmax: dl_e = p_e·(dp_e - Σ p·dp); sigmoid: dl_e = s_e·(1 - s_e)·ds_e. z-loss: dl_e +=
 * zScale·2·logsumexp·softmax_e.
 */
export const gateBackward: Kernel<GateBackwardCall> = {
  check(call, check) {
    const { tokens, experts, topK, groupStarts, fractions, fractionsGlobal } = call;
    check.sizes({ tokens });
    check.size('experts', experts, 1);
    check.size('topK', topK, 1);
    checkScores(call, check);
    check.number('auxScale', call.auxScale);
    check.number('zScale', call.zScale);
    check.floats('logits_TE', call.logits_TE, tokens * experts);
    check.floats('probs_TE', call.probs_TE, tokens * experts);
    check.ints('choices_TK', call.choices_TK, tokens * topK);
    check.floats('weights_TK', call.weights_TK, tokens * topK);
    check.floats('dWeights_TK', call.dWeights_TK, tokens * topK);
    if (call.valid_T !== undefined) check.bytes('valid_T', call.valid_T, tokens);
    check.starts('groupStarts', groupStarts, tokens);
    check.floats('fractions', fractions, (fractionsGlobal ? 1 : groupStarts.length - 1) * experts);
    check.floats('dLogits_TE', call.dLogits_TE, tokens * experts);
  },
  run(call) {
    const { tokens, experts, topK, scores, logits_TE, probs_TE, choices_TK, valid_T } = call;
    const { groupStarts, fractions, fractionsGlobal, auxScale, zScale, dLogits_TE } = call;
    checkChoices('gate.backward', choices_TK, tokens * topK, experts);
    const dProbs = new Float64Array(experts);
    const balance = new Float64Array(experts);
    const share = new Float64Array(experts);
    for (let group = 0; group + 1 < groupStarts.length; group++) {
      const [first, last] = [groupStarts[group]!, groupStarts[group + 1]!];
      const numValid = countValid(valid_T, first, last);
      const auxGradient = (auxScale * experts) / (fractionsGlobal ? 1 : Math.max(numValid, 1));
      for (let e = 0; e < experts; e++)
        balance[e] = auxGradient * fractions[(fractionsGlobal ? 0 : group * experts) + e]!;
      for (let t = first; t < last; t++) {
        const at = t * experts;
        if (valid_T !== undefined && valid_T[t] === 0) {
          dLogits_TE.fill(0, at, at + experts);
          continue;
        }
        const probs = probs_TE.subarray(at, at + experts);
        scoreGradients(call, t, { probs, balance }, dProbs);
        const zGradient = zScale === 0 ? 0 : 2 * zScale * logSumExp(logits_TE, at, experts);
        if (scores === 'sigmoid') {
          if (zScale !== 0) softmax(logits_TE.subarray(at, at + experts), share);
          for (let e = 0; e < experts; e++)
            dLogits_TE[at + e] = probs[e]! * (1 - probs[e]!) * dProbs[e]! + zGradient * share[e]!;
          continue;
        }
        let projection = 0;
        for (let e = 0; e < experts; e++) projection += probs[e]! * dProbs[e]!;
        for (let e = 0; e < experts; e++)
          dLogits_TE[at + e] = probs[e]! * (dProbs[e]! - projection + zGradient);
      }
    }
  },
};

export function countValid(valid_T: Uint8Array | undefined, first: number, last: number): number {
  if (valid_T === undefined) return last - first;
  let count = 0;
  for (let t = first; t < last; t++) count += valid_T[t] === 0 ? 0 : 1;
  return count;
}

export function logSumExp(values: Float32Array | Float64Array, at: number, length: number): number {
  let largest = -Infinity;
  for (let i = 0; i < length; i++) largest = Math.max(largest, values[at + i]!);
  let total = 0;
  for (let i = 0; i < length; i++) total += Math.exp(values[at + i]! - largest);
  return largest + Math.log(total);
}
