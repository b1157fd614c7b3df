import { assert } from '@troupe/core';

const LN2 = 0.6931471805599453;
/** Terms after which the series below are exact to the last bit or the one before it. */
const TERMS = 24;

/** Natural logarithm of x ≥ 1, of sums, products and quotients alone. */
function logarithm(x: number): number {
  let [mantissa, exponent] = [x, 0];
  while (mantissa >= Math.SQRT2) {
    mantissa /= 2;
    exponent++;
  }
  const z = (mantissa - 1) / (mantissa + 1);
  let [term, sum] = [z, 0];
  for (let k = 0; k < TERMS; k++) {
    sum += term / (2 * k + 1);
    term *= z * z;
  }
  return 2 * sum + exponent * LN2;
}

/** e to the power of y ≥ 0. */
function exponential(y: number): number {
  const doublings = Math.round(y / LN2);
  const rest = y - doublings * LN2;
  let [term, sum] = [1, 0];
  for (let k = 1; k <= TERMS; k++) {
    sum += term;
    term *= rest / k;
  }
  for (let k = 0; k < doublings; k++) sum *= 2;
  return sum;
}

/**
 * x to the power of 1/degree, the same on every engine: `Math.pow`, `Math.log` and `Math.exp` may differ in their last bits, and quotas that
 * are cut by them decide what a run sees.
 *
 * @param x - ≥ 1
 * @param degree - ≥ 1
 */
export function root(x: number, degree: number): number {
  assert(x >= 1 && degree >= 1 && Number.isFinite(x), 'a root of 1 or more, of degree 1 or more', {
    x,
    degree,
  });
  return degree === 1 ? x : exponential(logarithm(x) / degree);
}
