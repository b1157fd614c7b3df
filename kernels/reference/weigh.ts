import type { GateWeighCall } from '@troupe/kernel-set';
import { checkChoices, checkScores, divisorOf } from './gate.ts';
import type { Kernel } from './kernel.ts';

/** Weights of given choices: their probabilities, divided by the sum of those of `divisor_TK` when `renormalise` and K > 1. */
export const gateWeigh: Kernel<GateWeighCall> = {
  check(call, check) {
    const { tokens, experts, topK, probs_TE, choices_TK, divisor_TK, weights_TK } = call;
    checkScores(call, check);
    check.sizes({ tokens });
    check.size('experts', experts, 1);
    check.size('topK', topK, 1);
    check.floats('probs_TE', probs_TE, tokens * experts);
    check.ints('choices_TK', choices_TK, tokens * topK);
    if (divisor_TK !== undefined) check.ints('divisor_TK', divisor_TK, tokens * topK);
    check.floats('weights_TK', weights_TK, tokens * topK);
  },
  run(call) {
    const {
      tokens,
      experts,
      topK,
      scale = 1,
      probs_TE,
      choices_TK,
      divisor_TK = choices_TK,
      weights_TK,
    } = call;
    checkChoices('gate.weigh', choices_TK, tokens * topK, experts);
    checkChoices('gate.weigh', divisor_TK, tokens * topK, experts);
    for (let t = 0; t < tokens; t++) {
      let total = 0;
      for (let place = t * topK; place < (t + 1) * topK; place++)
        if (divisor_TK[place]! >= 0) total += probs_TE[t * experts + divisor_TK[place]!]!;
      const divisor = divisorOf(call, total);
      for (let place = t * topK; place < (t + 1) * topK; place++) {
        const expert = choices_TK[place]!;
        weights_TK[place] = expert < 0 ? 0 : (probs_TE[t * experts + expert]! / divisor) * scale;
      }
    }
  },
};
