import type { GateSampleCall, JitterCall } from '@troupe/kernel-set';
import type { Kernel } from './kernel.ts';
import { checkDraws, RoutingWords } from './routing-draws.ts';

/** out = x·(1 + width·u), u uniform in (-1, 1). */
export const jitter: Kernel<JitterCall> = {
  check(call, check) {
    const { rows, dim, x, out, width } = call;
    check.sizes({ rows });
    check.size('dim', dim, 1);
    check.floats('x', x, rows * dim);
    check.floats('out', out, rows * dim);
    if (!(width >= 0 && width < 1)) check.fail('width', String(width), 'from 0, below 1');
    checkDraws(call, check);
  },
  run(call) {
    const { rows, dim, x, out, width } = call;
    const words = new RoutingWords(call, dim);
    for (let row = 0; row < rows; row++) {
      for (let d = 0; d < dim; d++) {
        const uniform = (words.of(row, d) | 0) * 2 ** -31 + 2 ** -32;
        out[row * dim + d] = x[row * dim + d]! * (1 + width * uniform);
      }
    }
  },
};

/** Gumbel noise of 32 bits, -2.81154 … 16.63553: of u = (⌊bits/2⁹⌋ + ½)·2⁻²³, which is exact in f32 and inside (0, 1). */
export const gumbel = (bits: number): number => -Math.log(-Math.log(((bits >>> 9) + 0.5) * 2 ** -23));

/** K = 2: the largest logit, then the largest of the others with noise. K = 1: the largest with noise. */
export const gateSample: Kernel<GateSampleCall> = {
  check(call, check) {
    const { tokens, experts, topK, logits_TE, valid_T, choices_TK } = call;
    check.sizes({ tokens });
    check.size('experts', experts, 1);
    check.size('topK', topK, 1);
    if (topK > 2 || topK > experts) check.fail('topK', String(topK), '1 or 2, at most experts');
    check.floats('logits_TE', logits_TE, tokens * experts);
    if (valid_T !== undefined) check.bytes('valid_T', valid_T, tokens);
    check.ints('choices_TK', choices_TK, tokens * topK);
    checkDraws(call, check);
  },
  run(call) {
    const { tokens, experts, topK, logits_TE, valid_T, choices_TK } = call;
    const words = new RoutingWords(call, experts);
    for (let t = 0; t < tokens; t++) {
      if (valid_T !== undefined && valid_T[t] === 0) {
        choices_TK.fill(-1, t * topK, (t + 1) * topK);
        continue;
      }
      const logit = (e: number): number => logits_TE[t * experts + e]!;
      const first = topK === 2 ? largestOf(experts, -1, logit) : -1;
      const drawn = largestOf(experts, first, (e) => logit(e) + gumbel(words.of(t, e)));
      if (topK === 2) choices_TK[2 * t] = first;
      choices_TK[t * topK + topK - 1] = drawn;
    }
  },
};

/** The expert of largest value but one; NaN counts as -inf, ties go to the lower. */
function largestOf(experts: number, but: number, value: (expert: number) => number): number {
  let [best, top] = [-1, -Infinity];
  for (let e = 0; e < experts; e++) {
    if (e === but) continue;
    const found = value(e);
    if (best < 0 || found > top) [best, top] = [e, Number.isNaN(found) ? -Infinity : found];
  }
  return best;
}
