import { NORM_QUANTUM_LOG2 } from '@troupe/core';

/** Exact sums of one attempt at a step; every term may arrive in any order. */
export class StepLedger {
  lossSum = 0n;
  normSum = 0n;
  overflow = false;
  kernelMs = 0;
  bytesSent = 0;
  /** Two sums a MoE layer: balance and squared logsumexp. */
  lossSums: bigint[] = [];
  /** Choices of every expert, MoE layers × experts. */
  counts: Int32Array = new Int32Array(0);
  probSums: bigint[] = [];

  addLosses(lossSum: bigint, layerSums: BigInt64Array, counts: Int32Array, probSums: BigInt64Array): void {
    this.lossSum += lossSum;
    if (this.lossSums.length === 0) {
      this.lossSums = Array.from(layerSums);
      this.counts = counts.slice();
      this.probSums = Array.from(probSums);
      return;
    }
    layerSums.forEach((value, index) => (this.lossSums[index] = (this.lossSums[index] ?? 0n) + value));
    counts.forEach((value, index) => (this.counts[index] = (this.counts[index] ?? 0) + value));
    probSums.forEach((value, index) => (this.probSums[index] = (this.probSums[index] ?? 0n) + value));
  }
}

/** Root of a sum of squares in fixed point. */
export const normOf = (sum: bigint): number => Math.sqrt(Number(sum) * 2 ** NORM_QUANTUM_LOG2);

/** A 128-bit integer of two little-endian words. */
export function norm128(words: BigInt64Array): bigint {
  return (BigInt.asIntN(64, words[1] ?? 0n) << 64n) + BigInt.asUintN(64, words[0] ?? 0n);
}
