/** The float32 fused multiply-add in JavaScript, to state KER-1 as a test. */

const bits = new BigInt64Array(1);
const double = new Float64Array(bits.buffer);

/**
 * a·b + c for float32 values, rounded once. The product is exact in float64; the sum is rounded to odd, so that the second
 * rounding, to float32, cannot be a double one.
 *
 * @see Boldo and Melquiond 2008, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd"
 */
export function fmaF32(a: number, b: number, c: number): number {
  return Math.fround(fmaOdd(a, b, c));
}

/** Below this a result, rounded to 24 bits, is still smaller than the smallest normal float32. */
const LEAST_NORMAL = 2 ** -126 - 2 ** -151;

const flushed = (x: number): number => (Math.abs(x) < 2 ** -126 ? Math.sign(x) * 0 : x);

/** The same with denormal inputs and results as zeros of their sign: half of what KER-6 does with a pair. */
export function fmaFlushedF32(a: number, b: number, c: number): number {
  const sum = fmaOdd(flushed(a), flushed(b), flushed(c));
  return Math.abs(sum) < LEAST_NORMAL ? Math.sign(sum) * 0 : Math.fround(sum);
}

/** a·b + c in float64, rounded to odd. */
function fmaOdd(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  const back = sum - product;
  const lost = product - (sum - back) + (c - back);
  if (lost === 0 || !Number.isFinite(sum)) return sum;
  double[0] = sum;
  if ((bits[0]! & 1n) === 0n) bits[0] = bits[0]! + (lost > 0 === sum > 0 ? 1n : -1n);
  return double[0];
}
