import type { BiasCountCall, BiasStepCall } from '@troupe/kernel-set';
import { checkChoices, countValid } from './gate.ts';
import type { Kernel } from './kernel.ts';
import { isStored } from './target-kind.ts';

/** K·(valid tokens) - E·(choices of e), added to what earlier calls of the step counted. */
export const biasCount: Kernel<BiasCountCall> = {
  check({ tokens, experts, topK, choices_TK, valid_T, sum }, check) {
    check.sizes({ tokens });
    check.size('experts', experts, 1);
    check.size('topK', topK, 1);
    check.ints('choices_TK', choices_TK, tokens * topK);
    if (valid_T !== undefined) check.bytes('valid_T', valid_T, tokens);
    check.target('sum', sum, experts);
    if (isStored(sum)) check.fail('sum', 'a gradient in floats', 'an exact sum');
  },
  run({ tokens, experts, topK, choices_TK, valid_T, sum: { values, begin = false } }) {
    checkChoices('bias.count', choices_TK, tokens * topK, experts);
    const counts = new Float64Array(experts);
    for (let i = 0; i < tokens * topK; i++) if (choices_TK[i]! >= 0) counts[choices_TK[i]!]! += 1;
    const due = topK * countValid(valid_T, 0, tokens);
    for (let e = 0; e < experts; e++)
      values[e] = (begin ? 0n : values[e]!) + BigInt(due - experts * counts[e]!);
  },
};

/** A step of the same size up for every expert that was chosen too seldom, and down for one too often. */
export const biasStep: Kernel<BiasStepCall> = {
  check({ bias, out, sum, rate }, check) {
    check.int64s('sum', sum, 0);
    for (const [name, array] of [
      ['bias', bias],
      ['out', out],
    ] as const) {
      check.floats(name, array, 0);
      check.equal(`${name}.length`, array.length, sum.length, 'the length of sum');
    }
    check.number('rate', rate);
  },
  run({ bias, out, sum, rate }) {
    const step = Math.fround(rate);
    for (let e = 0; e < sum.length; e++) {
      const due = sum[e]!;
      out[e] = Math.fround(bias[e]! + (due > 0n ? step : due < 0n ? -step : 0));
    }
  },
};
