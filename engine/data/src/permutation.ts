import { assert, prng, type DrawKey } from '@troupe/core';

const ROUNDS = 6;

/**
 * A seeded permutation of 0 … numItems-1 that is computed, not stored: `(index) => place`.
 *
 * A Feistel network over the next even power of two is a bijection whatever its round function does; values beyond
 * the range are sent through again until they fall inside (cycle walking, fewer than 4 rounds on average).
 *
 * @param numItems - 1 … 2^32
 * @see Black and Rogaway 2002, "Ciphers with arbitrary finite domains"
 */
export function permutation(numItems: number, key: DrawKey): (index: number) => number {
  assert(
    Number.isInteger(numItems) && numItems >= 1 && numItems <= 2 ** 32,
    'permutation of 1 … 2^32 items',
    {
      numItems,
    },
  );
  let halfBits = 1;
  while (4 ** halfBits < numItems) halfBits++;
  const half = 2 ** halfBits;
  const draws = prng(key);
  const keys = Array.from({ length: ROUNDS }, (_, round) => draws.bits(round));
  const encipher = (value: number): number => {
    let left = Math.floor(value / half);
    let right = value % half;
    for (const roundKey of keys) {
      let h = Math.imul(right + 1, 0x9e3779b1) ^ roundKey;
      h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
      h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
      const mixed = (left ^ ((h ^ (h >>> 16)) & (half - 1))) >>> 0;
      left = right;
      right = mixed;
    }
    return left * half + right;
  };
  return (index) => {
    assert(index >= 0 && index < numItems, 'index inside the permutation', { index, numItems });
    let value = encipher(index);
    while (value >= numItems) value = encipher(value);
    return value;
  };
}
