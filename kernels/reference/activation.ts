import { InvariantError } from '@troupe/core';
import type { Activation } from '@troupe/kernel-set';

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);
const TANH_CUBIC = 0.044715;

/**
 * erf(x) to about 1e-16: for |x| < 3 the all-positive series 2/√π·e^{-x²}·Σ 2ⁿx^{2n+1}/(2n+1)!!, beyond it one minus
 * the continued fraction of erfc.
 *
 * @see Abramowitz and Stegun 1964, 7.1.6 and 7.1.14
 */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (size > 6) return Math.sign(x);
  if (size < 3) {
    let term = size;
    let sum = size;
    for (let n = 1; term > sum * 1e-17; n++) {
      term *= (2 * size * size) / (2 * n + 1);
      sum += term;
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-size * size) * sum;
  }
  let fraction = 0;
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (size + fraction);
  return Math.sign(x) * (1 - Math.exp(-size * size) / (Math.sqrt(Math.PI) * (size + fraction)));
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const gaussianCdf = (x: number): number => 0.5 * (1 + erf(x / Math.SQRT2));

/** Does not compile while an activation is left out. */
function missing(activation: never): never {
  throw new InvariantError(`activation ${String(activation)} is not built`);
}

/** The scalar function of an activation: swiglu's is silu, which multiplies the other input. */
export function activate(activation: Activation, x: number): number {
  switch (activation) {
    case 'swiglu':
      return x * sigmoid(x);
    case 'gelu':
      return x * gaussianCdf(x);
    case 'gelu-tanh':
      return 0.5 * x * (1 + Math.tanh(SQRT_2_OVER_PI * (x + TANH_CUBIC * x * x * x)));
    case 'relu':
      return x > 0 ? x : 0;
    default:
      return missing(activation);
  }
}

/** Its derivative; relu's at 0 is 0. */
export function activationSlope(activation: Activation, x: number): number {
  switch (activation) {
    case 'swiglu': {
      const gate = sigmoid(x);
      return gate * (1 + x * (1 - gate));
    }
    case 'gelu':
      return gaussianCdf(x) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
    case 'gelu-tanh': {
      const tanh = Math.tanh(SQRT_2_OVER_PI * (x + TANH_CUBIC * x * x * x));
      return 0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * SQRT_2_OVER_PI * (1 + 3 * TANH_CUBIC * x * x);
    }
    case 'relu':
      return x > 0 ? 1 : 0;
    default:
      return missing(activation);
  }
}
