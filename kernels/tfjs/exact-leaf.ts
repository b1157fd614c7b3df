import { GRADIENT_LEAF_LIMIT, GRADIENT_QUANTUM_LOG2 } from '@troupe/kernel-set';
import type { ExactSum } from '../on-host.ts';

const TWO_32 = 2 ** 32;
const SCALE = 2 ** -GRADIENT_QUANTUM_LOG2;
/** Adding and taking away 1.5·2^52 rounds to the nearest integer, halves to even. Below 2^51 by the rounding of the addition; a float32 from 2^51 to 2^56 is an integer and passes unharmed. */
const ROUNDER = 1.5 * 2 ** 52;

/**
 * sum[at + i] += leaf[i], each leaf rounded once to int64 fixed point; one that is NaN or out of range only raises the flag.
 *
 * Works on 32-bit halves and without a branch on the carry, which is random: 4 ns an element where a comparison costs 14
 * and a BigInt an allocation. Little-endian, as every platform Node runs on.
 */
export function addLeaf(sum: ExactSum, at: number, leaf: Float32Array, length: number): void {
  const words = new Int32Array(sum.values.buffer, sum.values.byteOffset + at * 8, length * 2);
  const { leafLimit = GRADIENT_LEAF_LIMIT } = sum;
  let outOfRange = 0;
  for (let i = 0; i < length; i++) {
    const value = leaf[i]!;
    if (value > -leafLimit && value < leafLimit) {
      const integer = value * SCALE + ROUNDER - ROUNDER;
      const high = Math.floor(integer / TWO_32);
      const low = (integer - high * TWO_32) | 0;
      const before = words[2 * i]!;
      const after = (before + low) | 0;
      const carry = ((before & low) | ((before | low) & ~after)) >>> 31;
      words[2 * i] = after;
      words[2 * i + 1] = (words[2 * i + 1]! + high + carry) | 0;
    } else {
      outOfRange = 1;
    }
  }
  if (outOfRange === 1) sum.overflow[0] = 1;
}
