import type { GateBackwardCall, GateForwardCall } from '@troupe/kernel-set';
import { rangeError } from './argument-check.ts';
import type { Kernel } from './kernel.ts';

/**
 * probs = softmax(logits); the k largest logits, ties to the lower expert; weights = their probabilities, divided by their
 * sum when `renormalise` and K > 1.
 *
 * @see Shazeer et al. 2017, arXiv:1701.06538, eq. 3–5; Jiang et al. 2024, arXiv:2401.04088 (renormalised)
 */
export const gateForward: Kernel<GateForwardCall> = {
  check(
    { tokens, experts, topK, logits_TE, valid_T, choicesGiven, probs_TE, choices_TK, weights_TK },
    check,
  ) {
    check.sizes({ tokens });
    check.size('experts', experts, 1);
    check.size('topK', topK, 1);
    if (topK > experts && !choicesGiven) check.fail('topK', String(topK), `at most experts, ${experts}`);
    check.floats('logits_TE', logits_TE, tokens * experts);
    check.floats('probs_TE', probs_TE, tokens * experts);
    check.ints('choices_TK', choices_TK, tokens * topK);
    check.floats('weights_TK', weights_TK, tokens * topK);
    if (valid_T !== undefined) check.bytes('valid_T', valid_T, tokens);
  },
  run({
    tokens,
    experts,
    topK,
    renormalise,
    logits_TE,
    valid_T,
    choicesGiven,
    probs_TE,
    choices_TK,
    weights_TK,
  }) {
    if (choicesGiven) checkChoices('gate.forward', choices_TK, tokens * topK, experts);
    const taken = new Uint8Array(experts);
    const probs = new Float64Array(experts);
    for (let t = 0; t < tokens; t++) {
      let largest = -Infinity;
      for (let e = 0; e < experts; e++) largest = Math.max(largest, logits_TE[t * experts + e]!);
      let total = 0;
      for (let e = 0; e < experts; e++) total += probs[e] = Math.exp(logits_TE[t * experts + e]! - largest);
      for (let e = 0; e < experts; e++) probs_TE[t * experts + e] = probs[e]! /= total;

      const valid = valid_T === undefined || valid_T[t] !== 0;
      if (!valid) {
        choices_TK.fill(-1, t * topK, (t + 1) * topK);
        weights_TK.fill(0, t * topK, (t + 1) * topK);
        continue;
      }
      if (!choicesGiven) {
        taken.fill(0);
        for (let k = 0; k < topK; k++) {
          let best = -1;
          for (let e = 0; e < experts; e++) {
            if (taken[e] === 0 && (best < 0 || logits_TE[t * experts + e]! > logits_TE[t * experts + best]!))
              best = e;
          }
          taken[best] = 1;
          choices_TK[t * topK + k] = best;
        }
      }
      let chosen = 0;
      for (let k = 0; k < topK; k++)
        chosen += choices_TK[t * topK + k]! < 0 ? 0 : probs[choices_TK[t * topK + k]!]!;
      const divisor = renormalise && topK > 1 && chosen > 0 ? chosen : 1;
      for (let k = 0; k < topK; k++) {
        const expert = choices_TK[t * topK + k]!;
        weights_TK[t * topK + k] = expert < 0 ? 0 : probs[expert]! / divisor;
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

/**
 * With w_k = p_k / Σ p when renormalised: dp_k = (dw_k - Σ_j dw_j·w_j) / Σ p, else dp_k = dw_k. Balance: dp_e += auxScale·E·f_e/n.
 * Softmax: dl_e = p_e·(dp_e - Σ p·dp). z-loss: dl_e += zScale·2·logsumexp·p_e.
 */
export const gateBackward: Kernel<GateBackwardCall> = {
  check(call, check) {
    const { tokens, experts, topK, groupStarts, fractions, fractionsGlobal } = call;
    check.sizes({ tokens });
    check.size('experts', experts, 1);
    check.size('topK', topK, 1);
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
    const {
      tokens,
      experts,
      topK,
      renormalise,
      logits_TE,
      probs_TE,
      choices_TK,
      weights_TK,
      dWeights_TK,
      valid_T,
    } = call;
    const { groupStarts, fractions, fractionsGlobal, auxScale, zScale, dLogits_TE } = call;
    checkChoices('gate.backward', choices_TK, tokens * topK, experts);
    const dProbs = new Float64Array(experts);
    for (let group = 0; group + 1 < groupStarts.length; group++) {
      const [first, last] = [groupStarts[group]!, groupStarts[group + 1]!];
      const numValid = countValid(valid_T, first, last);
      const auxGradient = (auxScale * experts) / (fractionsGlobal ? 1 : Math.max(numValid, 1));
      for (let t = first; t < last; t++) {
        const at = t * experts;
        if (valid_T !== undefined && valid_T[t] === 0) {
          dLogits_TE.fill(0, at, at + experts);
          continue;
        }
        for (let e = 0; e < experts; e++)
          dProbs[e] = auxGradient * fractions[(fractionsGlobal ? 0 : group * experts) + e]!;
        let chosen = 0;
        let meeting = 0;
        for (let k = 0; k < topK; k++) {
          const expert = choices_TK[t * topK + k]!;
          if (expert < 0) continue;
          chosen += probs_TE[at + expert]!;
          meeting += dWeights_TK[t * topK + k]! * weights_TK[t * topK + k]!;
        }
        const divided = renormalise && topK > 1 && chosen > 0;
        for (let k = 0; k < topK; k++) {
          const expert = choices_TK[t * topK + k]!;
          const upstream = dWeights_TK[t * topK + k]!;
          if (expert >= 0) dProbs[expert]! += divided ? (upstream - meeting) / chosen : upstream;
        }
        let projection = 0;
        for (let e = 0; e < experts; e++) projection += probs_TE[at + e]! * dProbs[e]!;
        const zGradient = zScale === 0 ? 0 : 2 * zScale * logSumExp(logits_TE, at, experts);
        for (let e = 0; e < experts; e++)
          dLogits_TE[at + e] = probs_TE[at + e]! * (dProbs[e]! - projection + zGradient);
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
