/**
 * Exact sums of 128 bits, for terms whose sizes and number nothing bounds: losses, balance statistics, squared norms.
 *
 * A sum is two words, the low one first and read as unsigned, together a two's complement integer in units of its quantum; element i
 * of several sums lies in words 2i and 2i + 1. Terms are not negative, but for roundings.
 *
 * WIDE-1: a term that is NaN or of 2^126 quanta and more, and a sum that grows to that, becomes {@link WIDE_OVERFLOW}, and there it
 * stays whatever is added. So in any order a sum is exact or marked invalid; two bad terms never cancel.
 */
export const WIDE_OVERFLOW = 2n ** 127n - 1n;
/** Terms and sums are smaller than so many quanta. */
export const WIDE_LIMIT = 2 ** 126;
const LIMIT = BigInt(WIDE_LIMIT);

/** The integer of sum `at`. */
export function wideInteger(words: BigInt64Array, at = 0): bigint {
  return ((words[2 * at + 1] ?? 0n) << 64n) + BigInt.asUintN(64, words[2 * at] ?? 0n);
}

/** Adds a term in quanta, or the integer of another sum, to sum `at`. */
export function addWide(words: BigInt64Array, term: bigint, at = 0): void {
  const before = wideInteger(words, at);
  const sum = before + term;
  const fits = term !== WIDE_OVERFLOW && before !== WIDE_OVERFLOW && sum < LIMIT && sum > -LIMIT;
  const after = fits ? sum : WIDE_OVERFLOW;
  words[2 * at] = BigInt.asIntN(64, after);
  words[2 * at + 1] = after >> 64n;
}

/** Adds sums element by element. */
export function addWideSums(words: BigInt64Array, others: BigInt64Array): void {
  for (let at = 0; 2 * at < others.length; at++) addWide(words, wideInteger(others, at), at);
}

/** The value of sum `at`; NaN where it is invalid. */
export function wideNumber(words: BigInt64Array, quantumLog2: number, at = 0): number {
  const integer = wideInteger(words, at);
  return integer === WIDE_OVERFLOW ? Number.NaN : Number(integer) * 2 ** quantumLog2;
}
