import { GRADIENT_LEAF_LIMIT } from '@troupe/kernel-set';
import type { ExactSum, GradientTarget } from '../on-host.ts';
import { readSum } from './exact-sum.ts';
import { isStored } from './target-kind.ts';

/**
 * Runs `add` with the exact sum that stands behind elements [first, first + length) of a target, in the state in which the call
 * must find it, and leaves the target as the call must: the bodies of operations know exact sums only.
 */
export function intoTarget(
  target: GradientTarget,
  first: number,
  length: number,
  add: (sum: ExactSum) => void,
): void {
  const { overflow, leafLimit = GRADIENT_LEAF_LIMIT } = target;
  if (isStored(target)) {
    const values = new BigInt64Array(length);
    add({ values, overflow, leafLimit });
    readSum(values, target.gradient.subarray(first, first + length));
    return;
  }
  const values = target.values.subarray(first, first + length);
  if (target.begin === true) values.fill(0n);
  add({ values, overflow, leafLimit });
}
