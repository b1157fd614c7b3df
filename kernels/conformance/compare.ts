import type { Output } from './built-case.ts';
import type { Tolerance } from './body.ts';

/** Arrays whose values are all smaller than this are compared as if one were this large: cancellation has no relative accuracy. */
const LEAST_SCALE = 0.1;

/**
 * Largest difference between two arrays as a share of the largest expected finite value; NaN, a wrong length and an infinity that is not the
 * expected one count as Infinity.
 */
export function largestError(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  leastScale = LEAST_SCALE,
): number {
  if (found.length !== expected.length) return Infinity;
  let scale = leastScale;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) {
    const size = Math.abs(expected[i]!);
    if (size === Infinity && found[i] === expected[i]) continue;
    const apart = Math.abs(found[i]! - expected[i]!);
    if (!Number.isFinite(apart)) return Infinity;
    scale = Math.max(scale, size);
    difference = Math.max(difference, apart);
  }
  return difference / scale;
}

/** Where two arrays differ in their bits, or -1; +0 and -0 differ. */
export function firstDifference(a: ArrayLike<number | bigint>, b: ArrayLike<number | bigint>): number {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return i;
  return -1;
}

export function allowedError(kind: Output['kind'], tolerance: Tolerance): number {
  return kind === 'exact' ? 0 : tolerance[kind];
}
