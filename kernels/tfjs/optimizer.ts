/** Passes over sums and the optimizer's slices, a block at a time so that gradients never lie in memory as a whole. */
import { addWide } from '@troupe/core';
import {
  GRADIENT_QUANTUM_LOG2,
  NORM_BLOCK,
  NORM_QUANTUM_LOG2,
  type AdamWCall,
  type SgdCall,
  type SumAddCall,
  type SumSquaresCall,
  type OnHost,
} from '@troupe/kernel-set';
import type { Floats } from '../on-host.ts';
import { wideTerm } from '../reference/exact-sum.ts';

const TWO_32 = 2 ** 32;

/** block[i] = f32(values[first + i] · quantum), rounded once. */
function readBlock(words: Int32Array, first: number, block: Float32Array, length: number): void {
  const quantum = 2 ** GRADIENT_QUANTUM_LOG2;
  for (let i = 0; i < length; i++) {
    let low = words[2 * (first + i)]!;
    const high = words[2 * (first + i) + 1]!;
    // Beyond 2^53 a float64 would round before the float32 does: keep the lost bits as one sticky bit.
    if ((high >= 0x200000 || high < -0x200000) && (low & 0x7ff) !== 0) low = (low & ~0x7ff) | 0x800;
    block[i] = (high * TWO_32 + (low >>> 0)) * quantum;
  }
}

const wordsOf = (values: BigInt64Array): Int32Array =>
  new Int32Array(values.buffer, values.byteOffset, values.length * 2);

/** sum += other, without a branch on the carry: see {@link addLeaf}. */
export function sumAdd({ sum, other, otherOverflow }: OnHost<SumAddCall>): void {
  const to = wordsOf(sum.values);
  const from = wordsOf(other);
  for (let i = 0; i < to.length; i += 2) {
    const [before, low] = [to[i]!, from[i]!];
    const after = (before + low) | 0;
    const carry = ((before & low) | ((before | low) & ~after)) >>> 31;
    to[i] = after;
    to[i + 1] = (to[i + 1]! + from[i + 1]! + carry) | 0;
  }
  if (otherOverflow !== 0) sum.overflow[0] = 1;
}

/** body(block, first) for each NORM_BLOCK of a gradient; the block of a sum is overwritten by the next one. */
function eachBlock(
  gradient: BigInt64Array | Floats,
  body: (block: Floats, first: number, length: number) => void,
): void {
  const read = new Float32Array(NORM_BLOCK);
  const words = gradient instanceof BigInt64Array ? wordsOf(gradient) : null;
  for (let first = 0; first < gradient.length; first += NORM_BLOCK) {
    const length = Math.min(NORM_BLOCK, gradient.length - first);
    if (words !== null) readBlock(words, first, read, length);
    body(words === null ? (gradient as Floats).subarray(first, first + length) : read, first, length);
  }
}

/** norm128 += Σ g² in leaves of NORM_BLOCK, the same number as the reference's. */
export function sumSquares({ gradient, norm128 }: OnHost<SumSquaresCall>): void {
  eachBlock(gradient, (block, _first, length) => {
    let leaf = 0;
    for (let i = 0; i < length; i++) leaf += block[i]! * block[i]!;
    addWide(norm128, wideTerm(leaf, NORM_QUANTUM_LOG2));
  });
}

/** @see Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2 */
export function adamw(call: OnHost<AdamWCall>): void {
  const { weights, out, m, v, gradient, gradScale, learningRate, beta1, beta2, eps } = call;
  const keep = 1 - learningRate * call.weightDecay;
  const rate = learningRate / call.correction1;
  const inverse2 = 1 / call.correction2;
  eachBlock(gradient, (block, first, length) => {
    for (let i = 0; i < length; i++) {
      const at = first + i;
      const g = block[i]! * gradScale;
      const mean = beta1 * m[at]! + (1 - beta1) * g;
      const square = beta2 * v[at]! + (1 - beta2) * g * g;
      m[at] = mean;
      v[at] = square;
      out[at] = weights[at]! * keep - (rate * mean) / (Math.sqrt(square * inverse2) + eps);
    }
  });
}

/** @see Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning" */
export function sgd(call: OnHost<SgdCall>): void {
  const { weights, out, v, gradient, gradScale, learningRate, momentum, nesterov } = call;
  const keep = 1 - learningRate * call.weightDecay;
  eachBlock(gradient, (block, first, length) => {
    for (let i = 0; i < length; i++) {
      const at = first + i;
      const g = block[i]! * gradScale;
      const moved = momentum * v[at]! + g;
      v[at] = moved;
      out[at] = weights[at]! * keep - learningRate * (nesterov ? momentum * moved + g : moved);
    }
  });
}
