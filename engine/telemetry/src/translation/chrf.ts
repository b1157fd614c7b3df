import { assert } from '@troupe/core';
import { commonCount, nGrams } from './n-grams.ts';
import { charactersOf } from './tokens.ts';

const ORDERS = 6;
/** How many times more recall counts than precision. */
const BETA = 2;

/**
 * chrF2 of a whole set of translations, one reference each, 0 to 100: F-score of runs of 1 to 6 characters without white space, as
 * sacrebleu computes it. It needs no words, so it serves every language alike.
 *
 * @param outputs - what a model wrote
 * @param references - as many, in the same order
 * @see Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation"; sacrebleu 2.6.0, `chrf.py`
 */
export function corpusChrf(outputs: readonly string[], references: readonly string[]): number {
  assert(outputs.length === references.length, 'a reference for each output', {
    outputs: outputs.length,
    references: references.length,
  });
  const texts = outputs.map(
    (output, index) => [charactersOf(output), charactersOf(references[index] ?? '')] as const,
  );
  let precision = 0;
  let recall = 0;
  let orders = 0;
  for (let n = 1; n <= ORDERS; n++) {
    const [own, reference, common] = countsOf(texts, n);
    if (own === 0 || reference === 0) continue;
    precision += common / own;
    recall += common / reference;
    orders++;
  }
  if (precision + recall === 0) return 0;
  precision /= orders;
  recall /= orders;
  const weight = BETA * BETA;
  return (100 * (1 + weight) * precision * recall) / (weight * precision + recall);
}

/** Runs of n characters: of the outputs, of the references, of both. An output whose reference has none is not counted. */
function countsOf(
  texts: readonly (readonly [readonly string[], readonly string[]])[],
  n: number,
): readonly [own: number, reference: number, common: number] {
  let [own, reference, common] = [0, 0, 0];
  for (const [output, expected] of texts) {
    const runs = Math.max(0, expected.length - n + 1);
    if (runs > 0) own += Math.max(0, output.length - n + 1);
    reference += runs;
    common += commonCount(nGrams(output, n), nGrams(expected, n));
  }
  return [own, reference, common];
}
