import { CHOICE_QUANTUM_LOG2, type ThresholdCountCall, type ThresholdStepCall } from '@troupe/kernel-set';
import type { Kernel } from './kernel.ts';
import { isStored } from './target-kind.ts';

/** Sum and count of each expert, side by side, added to those of earlier calls of the step. */
export const thresholdCount: Kernel<ThresholdCountCall> = {
  check({ experts, probSums_E, numGroups, sum }, check) {
    check.size('experts', experts, 1);
    check.int64s('probSums_E', probSums_E, experts);
    check.int64s('numGroups', numGroups, 1);
    check.target('sum', sum, 2 * experts);
    if (isStored(sum)) check.fail('sum', 'a gradient in floats', 'an exact sum');
  },
  run({ experts, probSums_E, numGroups, sum: { values, begin = false } }) {
    for (let e = 0; e < experts; e++) {
      values[2 * e] = (begin ? 0n : values[2 * e]!) + probSums_E[e]!;
      values[2 * e + 1] = (begin ? 0n : values[2 * e + 1]!) + numGroups[0]!;
    }
  },
};

/** A moving average that the first step begins. */
export const thresholdStep: Kernel<ThresholdStepCall> = {
  check({ thresholds, out, sum, fresh }, check) {
    check.int64s('sum', sum, 0);
    check.equal('sum.length', sum.length % 2, 0, 'even');
    for (const [name, array] of [
      ['thresholds', thresholds],
      ['out', out],
    ] as const) {
      check.floats(name, array, 0);
      check.equal(`${name}.length`, array.length, sum.length, 'the length of sum');
    }
    check.number('fresh', fresh);
  },
  run({ thresholds, out, sum, fresh }) {
    for (let at = 0; at < sum.length; at += 2) {
      const [before, steps] = [thresholds[at]!, thresholds[at + 1]!];
      const groups = sum[at + 1]!;
      const mean = Number(sum[at]!) / (Number(groups) * 2 ** -CHOICE_QUANTUM_LOG2);
      const isFirst = steps === 0;
      out[at] = groups <= 0n ? before : Math.fround(isFirst ? mean : (1 - fresh) * before + fresh * mean);
      out[at + 1] = groups <= 0n ? steps : Math.fround(steps + 1);
    }
  },
};
