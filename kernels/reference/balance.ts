import { routerScores, type BalanceForwardCall } from '@troupe/kernel-set';
import { addLossLeaf } from './exact-sum.ts';
import { checkChoices, countValid, logSumExp } from './gate.ts';
import type { Kernel } from './kernel.ts';

/**
 * Balance loss E·Σ_e f_e·p_e of each group and z-loss Σ logsumexp², without their coefficients.
 *
 * @see Fedus et al. 2021, arXiv:2101.03961, eq. 4–6; Zoph et al. 2022, arXiv:2202.08906, eq. 5
 */
export const balanceForward: Kernel<BalanceForwardCall> = {
  check(call, check) {
    const { tokens, experts, topK, groupStarts } = call;
    check.sizes({ tokens });
    check.size('experts', experts, 1);
    check.size('topK', topK, 1);
    if (call.scores !== undefined) check.oneOf('scores', call.scores, routerScores);
    check.floats('logits_TE', call.logits_TE, tokens * experts);
    check.floats('probs_TE', call.probs_TE, tokens * experts);
    check.ints('choices_TK', call.choices_TK, tokens * topK);
    if (call.valid_T !== undefined) check.bytes('valid_T', call.valid_T, tokens);
    check.starts('groupStarts', groupStarts, tokens);
    check.floats('fractions_BE', call.fractions_BE, (groupStarts.length - 1) * experts);
    check.int64s('lossSums', call.lossSums, 4);
    check.ints('counts_E', call.counts_E, experts);
    check.int64s('probSums_E', call.probSums_E, 2 * experts);
  },
  run(call) {
    const { tokens, experts, topK, logits_TE, probs_TE, choices_TK, valid_T } = call;
    const { groupStarts, fractions_BE, lossSums, counts_E, probSums_E } = call;
    checkChoices('balance.forward', choices_TK, tokens * topK, experts);
    const probSums = new Float64Array(experts);
    const counts = new Int32Array(experts);
    for (let group = 0; group + 1 < groupStarts.length; group++) {
      const [first, last] = [groupStarts[group]!, groupStarts[group + 1]!];
      const numValid = countValid(valid_T, first, last);
      let squares = 0;
      probSums.fill(0);
      counts.fill(0);
      for (let t = first; t < last; t++) {
        if (valid_T !== undefined && valid_T[t] === 0) continue;
        for (let k = 0; k < topK; k++) {
          const expert = choices_TK[t * topK + k]!;
          if (expert >= 0) counts[expert]! += 1;
        }
        const total = call.scores === 'sigmoid' ? sumOf(probs_TE, t * experts, experts) : 1;
        if (total > 0) for (let e = 0; e < experts; e++) probSums[e]! += probs_TE[t * experts + e]! / total;
        squares += logSumExp(logits_TE, t * experts, experts) ** 2;
      }
      let balance = 0;
      for (let e = 0; e < experts; e++) {
        const fraction = numValid === 0 ? 0 : counts[e]! / (numValid * topK);
        fractions_BE[group * experts + e] = fraction;
        balance += numValid === 0 ? 0 : (fraction * probSums[e]!) / numValid;
        counts_E[e]! += counts[e]!;
        addLossLeaf(probSums_E, e, probSums[e]!);
      }
      addLossLeaf(lossSums, 0, experts * balance);
      addLossLeaf(lossSums, 1, squares);
    }
  },
};

function sumOf(values: ArrayLike<number>, at: number, length: number): number {
  let total = 0;
  for (let i = 0; i < length; i++) total += values[at + i]!;
  return total;
}
