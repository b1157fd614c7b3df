import { addWideSums, NORM_QUANTUM_LOG2, wideNumber } from '@troupe/core';

/** Exact sums of one attempt at a step; every term may arrive in any order. All but the counts are wide sums. */
export class StepLedger {
  readonly lossSum = new BigInt64Array(2);
  readonly normSum = new BigInt64Array(2);
  overflow = false;
  kernelMs = 0;
  bytesSent = 0;
  /** Two sums a MoE layer: balance and squared logsumexp. */
  lossSums = new BigInt64Array(0);
  /** Choices of every expert, MoE layers × experts. */
  counts = new Int32Array(0);
  probSums = new BigInt64Array(0);

  addLosses(
    lossSum: BigInt64Array,
    layerSums: BigInt64Array,
    counts: Int32Array,
    probSums: BigInt64Array,
  ): void {
    addWideSums(this.lossSum, lossSum);
    if (this.lossSums.length === 0) {
      this.lossSums = layerSums.slice();
      this.counts = counts.slice();
      this.probSums = probSums.slice();
      return;
    }
    addWideSums(this.lossSums, layerSums);
    counts.forEach((value, index) => (this.counts[index] = (this.counts[index] ?? 0) + value));
    addWideSums(this.probSums, probSums);
  }

  /** A shard's squared norm, and whether a leaf of its gradients was NaN or out of range. A norm out of range is no finite one either. */
  addVote(norm128: BigInt64Array, overflow: boolean): void {
    addWideSums(this.normSum, norm128);
    this.overflow ||= overflow || Number.isNaN(normOf(this.normSum));
  }
}

/** Root of a sum of squares; NaN when the sum is none. */
export const normOf = (sum: BigInt64Array): number => Math.sqrt(wideNumber(sum, NORM_QUANTUM_LOG2));
