import { philox4x32, type FillCall } from '@troupe/core';
import type { Kernel } from './kernel.ts';

/** Share of a normal distribution beyond +2σ. */
const BEYOND_TWO_SIGMA = 0.022750131948179207;

/** The number that 32 random bits stand for: the top bit is the sign, the others a tail probability between 0 and ½. */
function drawFrom(kind: FillCall['kind'], bits: number): number {
  const signed = bits | 0;
  if (kind === 'uniform') return signed * 2 ** -31 + 2 ** -32;
  const low = signed & 0x7fffffff;
  const tail =
    kind === 'normal'
      ? low * 2 ** -32 + 2 ** -33
      : BEYOND_TWO_SIGMA + low * 2 ** -31 * (0.5 - BEYOND_TWO_SIGMA);
  const size = -normalQuantile(tail);
  return signed < 0 ? -size : size;
}

/**
 * Draws element i from word i mod 4 of Philox counter (⌊i/4⌋, 0, 0, 0). With s the word as an int32 and l its low 31 bits:
 * uniform: scale·(s·2⁻³¹ + 2⁻³²); normal: scale·sign(s)·|Φ⁻¹(l·2⁻³² + 2⁻³³)|; truncated-normal: the same with the tail
 * probability Φ(-2) + l·2⁻³¹·(½ - Φ(-2)), so that no draw lies beyond 2σ and none is thrown away.
 */
export const fill: Kernel<FillCall> = {
  check({ out, kind, scale, key, firstIndex }, check) {
    check.floats('out', out, 0);
    check.oneOf('kind', kind, ['constant', 'uniform', 'normal', 'truncated-normal']);
    check.number('scale', scale);
    check.size('firstIndex', firstIndex);
    if (!Array.isArray(key) || key.length !== 2) check.fail('key', 'no pair', 'two 32-bit numbers');
  },
  run({ out, kind, scale, key, firstIndex }) {
    if (kind === 'constant') {
      out.fill(scale);
      return;
    }
    let block = -1;
    let words: readonly number[] = [];
    for (let i = 0; i < out.length; i++) {
      const index = firstIndex + i;
      const wanted = Math.floor(index / 4);
      if (wanted !== block) {
        words = philox4x32([wanted >>> 0, 0, 0, 0], key);
        block = wanted;
      }
      out[i] = scale * drawFrom(kind, words[index % 4]!);
    }
  },
};

/** Coefficients of rational approximations, highest power first. */
const CENTRE_TOP = [
  2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
  13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608,
];
const CENTRE_BOTTOM = [
  5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
  5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1,
];
const TAIL_TOP = [
  7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
  3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734,
];
const TAIL_BOTTOM = [
  1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
  0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1,
];

const horner = (coefficients: readonly number[], x: number): number =>
  coefficients.reduce((sum, c) => sum * x + c, 0);

/**
 * Φ⁻¹(p) to about 1e-16, for p between 1.4e-11 and 1 - 1.4e-11 (32-bit draws end at 1.2e-10).
 *
 * @see Wichura 1988, "The percentage points of the normal distribution", AS 241, PPND16
 */
export function normalQuantile(p: number): number {
  const q = p - 0.5;
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q;
    return (q * horner(CENTRE_TOP, r)) / horner(CENTRE_BOTTOM, r);
  }
  const r = Math.sqrt(-Math.log(Math.min(p, 1 - p))) - 1.6;
  return (Math.sign(q) * horner(TAIL_TOP, r)) / horner(TAIL_BOTTOM, r);
}
