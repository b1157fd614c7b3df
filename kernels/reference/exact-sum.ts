/**
 * Exact sums over two 32-bit halves: BigInt arithmetic costs an allocation per element, and tests train models here.
 */
import { addWide, WIDE_LIMIT, WIDE_OVERFLOW } from '@troupe/core';
import {
  GRADIENT_LEAF_LIMIT,
  GRADIENT_QUANTUM_LOG2,
  LOSS_QUANTUM_LOG2,
  NORM_BLOCK,
  NORM_QUANTUM_LOG2,
  type SumAddCall,
  type SumReadCall,
  type SumResetCall,
  type SumSquaresCall,
} from '@troupe/kernel-set';
import type { ExactSum, Floats } from '../on-host.ts';
import type { FloatType } from './float-type.ts';
import type { Kernel } from './kernel.ts';

const TWO_32 = 2 ** 32;
const TWO_52 = 2 ** 52;

/** Nearest integer, halves to even, as the hardware rounds. */
export function roundHalfEven(x: number): number {
  if (Math.abs(x) >= TWO_52) return x;
  return x >= 0 ? x + TWO_52 - TWO_52 : x - TWO_52 + TWO_52;
}

/** Low words at 2i, high words at 2i + 1 (little-endian, as every platform Node runs on). */
interface Words {
  readonly low: Uint32Array;
  readonly high: Int32Array;
}

const wordsOf = (values: BigInt64Array): Words => ({
  low: new Uint32Array(values.buffer, values.byteOffset, values.length * 2),
  high: new Int32Array(values.buffer, values.byteOffset, values.length * 2),
});

/** values[i] += integer, |integer| < 2^63 and representable. */
function addInteger({ low, high }: Words, i: number, integer: number): void {
  const integerHigh = Math.floor(integer / TWO_32);
  const sum = low[2 * i]! + (integer - integerHigh * TWO_32);
  const carry = sum >= TWO_32 ? 1 : 0;
  low[2 * i] = sum - carry * TWO_32;
  high[2 * i + 1] = (high[2 * i + 1]! + integerHigh + carry) | 0;
}

/** sum[at + i] += leaves[i], each rounded once; a leaf that is NaN or out of range only raises the overflow flag. */
export function addLeaves(sum: ExactSum, at: number, leaves: Float64Array, length: number): void {
  const words = wordsOf(sum.values);
  const scale = 2 ** -GRADIENT_QUANTUM_LOG2;
  const { leafLimit = GRADIENT_LEAF_LIMIT } = sum;
  for (let i = 0; i < length; i++) {
    const leaf = leaves[i]!;
    if (Math.abs(leaf) < leafLimit) addInteger(words, at + i, roundHalfEven(leaf * scale));
    else sum.overflow[0] = 1;
  }
}

/** A term of a wide sum in quanta, rounded once. */
export function wideTerm(value: number, quantumLog2: number): bigint {
  const scaled = value * 2 ** -quantumLog2;
  return Math.abs(scaled) < WIDE_LIMIT ? BigInt(roundHalfEven(scaled)) : WIDE_OVERFLOW;
}

/** Loss-like sum i += leaf. */
export function addLossLeaf(sums: BigInt64Array, i: number, leaf: number): void {
  addWide(sums, wideTerm(leaf, LOSS_QUANTUM_LOG2), i);
}

/** Value of element i as a float64, or such that rounding it to f32 equals one rounding of the integer. */
function readInteger({ low, high }: Words, i: number, single: boolean): number {
  const top = high[2 * i + 1]!;
  let bottom = low[2 * i]!;
  // An integer above 2^53 would be rounded twice on its way to f32: keep the lost bits as one sticky bit instead.
  if (single && (top >= 0x200000 || top < -0x200000) && (bottom & 0x7ff) !== 0)
    bottom = ((bottom & ~0x7ff) | 0x800) >>> 0;
  return top * TWO_32 + bottom;
}

/** out[i] = values[i] · 2^GRADIENT_QUANTUM_LOG2, rounded once to the type of `out`. */
export function readSum(values: BigInt64Array, out: Floats): void {
  const words = wordsOf(values);
  const quantum = 2 ** GRADIENT_QUANTUM_LOG2;
  const single = out instanceof Float32Array;
  for (let i = 0; i < values.length; i++) out[i] = readInteger(words, i, single) * quantum;
}

export const sumAdd: Kernel<SumAddCall> = {
  check(call, check) {
    check.sum('sum', call.sum, 0);
    check.int64s('other', call.other, 0);
    check.equal('other.length', call.other.length, call.sum.values.length, 'the length of sum');
    check.number('otherOverflow', call.otherOverflow);
  },
  run({ sum, other, otherOverflow }) {
    const a = wordsOf(sum.values);
    const b = wordsOf(other);
    for (let i = 0; i < 2 * other.length; i += 2) {
      const low = a.low[i]! + b.low[i]!;
      const carry = low >= TWO_32 ? 1 : 0;
      a.low[i] = low - carry * TWO_32;
      a.high[i + 1] = (a.high[i + 1]! + b.high[i + 1]! + carry) | 0;
    }
    if (otherOverflow !== 0) sum.overflow[0] = 1;
  },
};

export const sumReset: Kernel<SumResetCall> = {
  check(call, check) {
    check.sum('sum', call.sum, 0);
  },
  run({ sum }) {
    sum.values.fill(0n);
    sum.overflow[0] = 0;
  },
};

export const sumRead: Kernel<SumReadCall> = {
  check(call, check) {
    check.int64s('sum', call.sum, 0);
    check.floats('out', call.out, 0);
    check.equal('out.length', call.out.length, call.sum.length, 'the length of sum');
  },
  run({ sum, out }) {
    readSum(sum, out);
  },
};

/** The float of each element of a sum, or the stored gradient itself. */
export function gradientOf(gradient: BigInt64Array | Floats, dtype: FloatType): Floats {
  if (!(gradient instanceof BigInt64Array)) return gradient;
  const floats = dtype === 'f32' ? new Float32Array(gradient.length) : new Float64Array(gradient.length);
  readSum(gradient, floats);
  return floats;
}

/** ‖g‖² in leaves of NORM_BLOCK elements. */
export const sumSquares: Kernel<SumSquaresCall> = {
  check(call, check) {
    check.gradient('gradient', call.gradient);
    check.int64s('norm128', call.norm128, 2);
  },
  run(call, dtype) {
    const gradient = gradientOf(call.gradient, dtype);
    for (let start = 0; start < gradient.length; start += NORM_BLOCK) {
      const end = Math.min(start + NORM_BLOCK, gradient.length);
      let leaf = 0;
      for (let i = start; i < end; i++) leaf += gradient[i]! * gradient[i]!;
      addWide(call.norm128, wideTerm(leaf, NORM_QUANTUM_LOG2));
    }
  },
};
