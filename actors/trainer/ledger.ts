import { addWideSums, assert } from '@troupe/core';

/** Exact sums of one attempt at a step; every term may arrive in any order. All but the counts are wide sums. */
export class StepLedger {
  readonly lossSum = new BigInt64Array(2);
  kernelMs = 0;
  /** Two sums a MoE layer: balance and squared logsumexp. */
  lossSums = new BigInt64Array(0);
  /** Choices of every expert, MoE layers × experts. */
  counts = new Int32Array(0);
  probSums = new BigInt64Array(0);

  /** Balance over the whole batch: choices of every expert that stages have shared before their backward passes, and how many have. */
  sharedChoices = new Int32Array(0);
  numShared = 0;

  addChoices(counts_LE: Int32Array): void {
    if (this.numShared++ === 0) this.sharedChoices = new Int32Array(counts_LE.length);
    assert(counts_LE.length === this.sharedChoices.length, 'all stages count the same experts', {
      found: counts_LE.length,
      expected: this.sharedChoices.length,
    });
    counts_LE.forEach(
      (count, index) => (this.sharedChoices[index] = (this.sharedChoices[index] ?? 0) + count),
    );
  }

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
    assert(
      layerSums.length === this.lossSums.length &&
        counts.length === this.counts.length &&
        probSums.length === this.probSums.length,
      'all stages measure the same layers',
      { found: counts.length, expected: this.counts.length },
    );
    addWideSums(this.lossSums, layerSums);
    counts.forEach((value, index) => (this.counts[index] = (this.counts[index] ?? 0) + value));
    addWideSums(this.probSums, probSums);
  }
}
