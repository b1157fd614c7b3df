import { prng } from '@troupe/core';
import { smallestDraws } from './smallest-draws.ts';
import { drawsOf, type NoiseKey } from './span-corruption.ts';

/** Share of a text that is masked. */
const MASK_PERCENT = 30;

/** Poisson(3) by 32 random bits: a length is the number of thresholds at or below them. */
const poissonThresholds = [
  213833830, 855335322, 1817587558, 2779839795, 3501528973, 3934542479, 4151049233, 4243837841, 4278633569,
  4290232146, 4293711718, 4294660693, 4294897936,
] as const;

/** Lengths of spans until `masked` tokens are covered, the last one cut; at most `most`, for which zero ones give way. */
function spanLengths(masked: number, most: number, key: NoiseKey): readonly number[] {
  const draws = prng(drawsOf(key, 'data.infill.lengths'));
  const lengths: number[] = [];
  for (let covered = 0; covered < masked;) {
    const bits = draws.bits(lengths.length);
    const drawn = poissonThresholds.filter((threshold) => threshold <= bits).length;
    const length = Math.min(drawn, masked - covered);
    lengths.push(length);
    covered += length;
  }
  let excess = lengths.length - most;
  return lengths.filter((length) => length > 0 || excess-- <= 0);
}

/** Tokens of a text that infilling masks: 30 %, halves up. */
export const numMasked = (length: number): number => Math.floor((MASK_PERCENT * length + 50) / 100);

/**
 * Text infilling of BART: spans of a text become one mask each; a span of no tokens inserts one.
 *
 * Spans begin at different gaps between kept tokens, so that two masks never meet. There are never more spans than masked tokens, so that
 * the text does not grow.
 *
 * @returns at most as many tokens as it was given
 * @see Lewis et al. 2019, arXiv:1910.13461
 */
export function infill(tokens: Int32Array, mask: number, key: NoiseKey): Int32Array {
  const masked = numMasked(tokens.length);
  const kept = tokens.length - masked;
  const lengths = spanLengths(masked, Math.min(kept + 1, masked), key);
  const gaps = smallestDraws(kept + 1, lengths.length, drawsOf(key, 'data.infill.gaps'));
  const out = new Int32Array(kept + lengths.length);
  let [from, to] = [0, 0];
  for (const [span, length] of lengths.entries()) {
    // Kept tokens before this gap: all that were written so far, less the masks among them.
    const run = (gaps[span] ?? 0) - (to - span);
    out.set(tokens.subarray(from, from + run), to);
    out[to + run] = mask;
    from += run + length;
    to += run + 1;
  }
  out.set(tokens.subarray(from), to);
  return out;
}
