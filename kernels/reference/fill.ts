import { philox4x32 } from '@troupe/core';
import type { FillCall, OnHost } from '@troupe/kernel-set';
import type { Kernel } from './kernel.ts';

/** Share of a normal distribution beyond +2σ. */
const BEYOND_TWO_SIGMA = 0.02275013194817921;

/** The number that 32 random bits stand for: the top bit is the sign, the others a tail probability between 0 and ½. */
function drawFrom(kind: OnHost<FillCall>['kind'], bits: number): number {
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
  check({ out, kind, scale, key, firstIndex, rowLength, rowStride }, check) {
    check.floats('out', out, 0);
    check.oneOf('kind', kind, ['constant', 'uniform', 'normal', 'truncated-normal']);
    check.number('scale', scale);
    check.size('firstIndex', firstIndex);
    if (rowLength !== undefined || rowStride !== undefined) {
      check.size('rowLength', rowLength ?? Number.NaN, 1);
      check.size('rowStride', rowStride ?? Number.NaN, rowLength);
    }
    if (!Array.isArray(key) || key.length !== 2) check.fail('key', 'no pair', 'two 32-bit numbers');
  },
  run({ out, kind, scale, key, firstIndex, rowLength = Infinity, rowStride = 0 }) {
    if (kind === 'constant') {
      out.fill(scale);
      return;
    }
    let block = -1;
    let words: readonly number[] = [];
    for (let i = 0; i < out.length; i++) {
      const row = Math.floor(i / rowLength);
      const index = row === 0 ? firstIndex + i : firstIndex + row * rowStride + (i - row * rowLength);
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
  2509.0809287301227, 33430.57558358813, 67265.7709270087, 45921.95393154987, 13731.69376550946,
  1971.5909503065513, 133.14166789178438, 3.3871328727963665,
];
const CENTRE_BOTTOM = [
  5226.495278852546, 28729.085735721943, 39307.89580009271, 21213.794301586597, 5394.196021424751,
  687.1870074920579, 42.31333070160091, 1,
];
const TAIL_TOP = [
  0.0007745450142783414, 0.022723844989269184, 0.2417807251774506, 1.2704582524523684, 3.6478483247632045,
  5.769497221460691, 4.630337846156546, 1.4234371107496835,
];
const TAIL_BOTTOM = [
  1.0507500716444169e-9, 0.0005475938084995345, 0.015198666563616457, 0.14810397642748008, 0.6897673349851,
  1.6763848301838038, 2.053191626637759, 1,
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
