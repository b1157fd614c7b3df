import { assert } from '@troupe/core';
import { commonCount, nGrams } from './n-grams.ts';
import { bleuTokens, type BleuTokens } from './tokens.ts';

const ORDERS = 4;

export interface Bleu {
  /** 0 to 100. */
  readonly score: number;
  /** Of runs of 1, 2, 3 and 4 tokens, 0 to 100, smoothed where none is right. */
  readonly precisions: readonly number[];
  /** 1 where the outputs are as long as the references. */
  readonly brevityPenalty: number;
  readonly outputTokens: number;
  readonly referenceTokens: number;
}

/**
 * BLEU of a whole set of translations, one reference each, as sacrebleu computes it: with its tokens, and with exponential smoothing.
 *
 * @param outputs - what a model wrote
 * @param references - as many, in the same order
 * @param tokens - `char` for Chinese and Japanese (`bleuTokensOf`)
 * @see Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation"; sacrebleu 2.6.0, `bleu.py`
 */
export function corpusBleu(
  outputs: readonly string[],
  references: readonly string[],
  tokens: BleuTokens = '13a',
): Bleu {
  assert(outputs.length === references.length, 'a reference for each output', {
    outputs: outputs.length,
    references: references.length,
  });
  const right = Array.from({ length: ORDERS }, () => 0);
  const all = Array.from({ length: ORDERS }, () => 0);
  let outputTokens = 0;
  let referenceTokens = 0;
  for (const [index, output] of outputs.entries()) {
    const own = bleuTokens(output, tokens);
    const reference = bleuTokens(references[index] ?? '', tokens);
    outputTokens += own.length;
    referenceTokens += reference.length;
    for (let n = 1; n <= ORDERS; n++) {
      right[n - 1] = (right[n - 1] ?? 0) + commonCount(nGrams(own, n), nGrams(reference, n));
      all[n - 1] = (all[n - 1] ?? 0) + Math.max(0, own.length - n + 1);
    }
  }
  const precisions = smoothed(right, all);
  const brevityPenalty =
    outputTokens >= referenceTokens
      ? 1
      : outputTokens === 0
        ? 0
        : Math.exp(1 - referenceTokens / outputTokens);
  const logs = precisions.reduce((sum, precision) => sum + Math.log(precision) / ORDERS, 0);
  return {
    score: brevityPenalty * Math.exp(logs),
    precisions,
    brevityPenalty,
    outputTokens,
    referenceTokens,
  };
}

/** Where no run of a length is right, half of one counts, then a quarter, …; without a single right token all are 0. */
function smoothed(right: readonly number[], all: readonly number[]): readonly number[] {
  if ((right[0] ?? 0) === 0) return right.map(() => 0);
  let factor = 1;
  return right.map((count, index) => {
    const total = all[index] ?? 0;
    if (total === 0) return 0;
    if (count > 0) return (100 * count) / total;
    factor *= 2;
    return 100 / (factor * total);
  });
}
