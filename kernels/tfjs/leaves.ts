import { GRADIENT_LEAF_LIMIT, GRADIENT_QUANTUM_LOG2 } from '@troupe/kernel-set';
import type { ExactSum, GradientTarget, StoredGradient } from '../on-host.ts';
import { readSum } from '../reference/exact-sum.ts';
import { intoTarget } from '../reference/gradient-target.ts';
import { isStored } from '../reference/target-kind.ts';
import { addLeaf } from './exact-leaf.ts';

/** Where an operation puts the leaves of a gradient. */
export interface Leaves {
  /** Adds `length` elements from element `at` of the gradient on, each rounded once to fixed point. */
  add(at: number, leaf: Float32Array, length: number): void;
}

const SCALE = 2 ** -GRADIENT_QUANTUM_LOG2;
const QUANTUM = 2 ** GRADIENT_QUANTUM_LOG2;
/** Adding and taking away 1.5·2^52 rounds to the nearest integer, halves to even. */
const ROUNDER = 1.5 * 2 ** 52;
/** A sum of leaves whose largest ones add up to this stays within 2^53 quanta, where float64 adds integers exactly. */
const ROOM = 2 ** 53 * QUANTUM;

/** The exact sum of a stored gradient in float64 for as long as that is exact, then in int64: three times faster. */
class StoredLeaves implements Leaves {
  readonly #sums: Float64Array;
  readonly #range: Omit<ExactSum, 'values'> & { readonly leafLimit: number };
  #room = ROOM;
  #exact: ExactSum | null = null;

  constructor(sums: Float64Array, { overflow, leafLimit = GRADIENT_LEAF_LIMIT }: StoredGradient) {
    this.#sums = sums;
    this.#range = { overflow, leafLimit };
    sums.fill(0);
  }

  add(at: number, leaf: Float32Array, length: number): void {
    if (this.#exact === null) {
      let largest = 0;
      // NaN wins against everything, and fits nowhere.
      for (let i = 0; i < length; i++) largest = Math.max(largest, Math.abs(leaf[i]!));
      if (largest < this.#range.leafLimit && largest <= this.#room) {
        this.#room -= largest;
        const sums = this.#sums;
        for (let i = 0; i < length; i++) sums[at + i]! += leaf[i]! * SCALE + ROUNDER - ROUNDER;
        return;
      }
      this.#exact = { values: BigInt64Array.from(this.#sums, BigInt), ...this.#range };
    }
    addLeaf(this.#exact, at, leaf, length);
  }

  /** Rounds every sum once into `out`. */
  read(out: StoredGradient['gradient']): void {
    if (this.#exact !== null) return readSum(this.#exact.values, out);
    const sums = this.#sums;
    for (let i = 0; i < out.length; i++) out[i] = sums[i]! * QUANTUM;
  }
}

/**
 * Runs `add` with the leaves that stand behind elements [first, first + length) of a target, and leaves the target as its call must:
 * what {@link intoTarget} does for the reference.
 *
 * @param scratch - gives room for sums; it may be given again afterwards
 */
export function intoLeaves(
  target: GradientTarget,
  { first, length }: { readonly first: number; readonly length: number },
  scratch: (length: number) => Float64Array,
  add: (leaves: Leaves) => void,
): void {
  if (isStored(target)) {
    const leaves = new StoredLeaves(scratch(length), target);
    add(leaves);
    leaves.read(target.gradient.subarray(first, first + length));
    return;
  }
  intoTarget(target, first, length, (sum) =>
    add({ add: (at, leaf, count) => addLeaf(sum, at, leaf, count) }),
  );
}
