import { addWideSums, assert } from '@troupe/core';
import type { Share } from './share.ts';

/** What a stage measures of a step over its own MoE layers, or the stages of a machine over theirs; all but the counts are wide sums. */
export interface Measured {
  readonly lossSum: BigInt64Array;
  /** Two sums a layer: balance and squared logsumexp. */
  readonly layerSums: BigInt64Array;
  readonly counts_LE: Int32Array;
  /** Choices that experts had no room for, a number a layer. */
  readonly dropped_L: Int32Array;
  readonly probSums: BigInt64Array;
}

/**
 * Exact sums of one attempt at a step, over the MoE layers of a machine or of the model; every term may arrive in any order.
 *
 * AGT-2: what an agent adds up of its machine, and the trainer of all machines, are the same sums as of all stages at once.
 */
export class StepLedger {
  readonly lossSum = new BigInt64Array(2);
  kernelMs = 0;
  /** Two wide sums a MoE layer: balance and squared logsumexp. */
  readonly lossSums: BigInt64Array;
  /** Choices of every expert, MoE layers × experts. */
  readonly counts: Int32Array;
  /** Those of them that experts had no room for, a number a layer. */
  readonly dropped: Int32Array;
  readonly probSums: BigInt64Array;

  /** Balance over the whole batch: choices of every expert that stages have shared before their backward passes, and how many have. */
  readonly sharedChoices: Int32Array;
  numShared = 0;
  readonly #experts: number;
  /** Digests of gradients, by stage and replica. */
  readonly #alike = new Map<string, number>();

  /** @param layers - how many MoE layers the sums are of */
  constructor({ layers, experts }: { readonly layers: number; readonly experts: number }) {
    this.#experts = experts;
    this.lossSums = new BigInt64Array(4 * layers);
    this.counts = new Int32Array(layers * experts);
    this.dropped = new Int32Array(layers);
    this.probSums = new BigInt64Array(2 * layers * experts);
    this.sharedChoices = new Int32Array(layers * experts);
  }

  get numDropped(): number {
    return this.dropped.reduce((sum, count) => sum + count, 0);
  }

  /** What goes on to the trainer. */
  get measured(): Measured {
    const { lossSum, lossSums: layerSums, counts: counts_LE, dropped: dropped_L, probSums } = this;
    return { lossSum, layerSums, counts_LE, dropped_L, probSums };
  }

  addChoices(share: Share, counts_LE: Int32Array): void {
    this.numShared++;
    if (share.counts) this.#addCounts(this.sharedChoices, share, counts_LE, this.#experts);
  }

  /** TEN-4: tensor peers have the same gradients of what they hold alike. */
  compareAlike({ peers }: Share, digest: number): void {
    const known = this.#alike.get(peers) ?? digest;
    this.#alike.set(peers, known);
    assert(known === digest, 'tensor peers have the same gradients of norms and routers', {
      peers,
      known,
      digest,
    });
  }

  /** What the stages of these tensor peers have said. */
  digestOf(peers: string): number {
    const digest = this.#alike.get(peers);
    assert(digest !== undefined, 'a stage that has measured has a digest', { peers });
    return digest;
  }

  addLosses(share: Share, { lossSum, layerSums, counts_LE, dropped_L, probSums }: Measured): void {
    if (!share.counts) return;
    if (share.hasLoss) addWideSums(this.lossSum, lossSum);
    this.#addCounts(this.counts, share, counts_LE, this.#experts);
    this.#addCounts(this.dropped, share, dropped_L, 1);
    this.#addWide(this.lossSums, 4, share, layerSums);
    this.#addWide(this.probSums, 2 * this.#experts, share, probSums);
  }

  #addCounts(sums: Int32Array, { layers }: Share, counts: Int32Array, perLayer: number): void {
    this.#assertWhole(layers, counts, perLayer);
    counts.forEach((count, at) => {
      const to = (layers[Math.floor(at / perLayer)] ?? 0) * perLayer + (at % perLayer);
      sums[to] = (sums[to] ?? 0) + count;
    });
  }

  #addWide(sums: BigInt64Array, words: number, { layers }: Share, terms: BigInt64Array): void {
    this.#assertWhole(layers, terms, words);
    layers.forEach((layer, at) =>
      addWideSums(
        sums.subarray(layer * words, (layer + 1) * words),
        terms.subarray(at * words, (at + 1) * words),
      ),
    );
  }

  #assertWhole(layers: readonly number[], terms: ArrayLike<unknown>, words: number): void {
    const expected = layers.length * words;
    if (terms.length !== expected)
      assert(false, 'who measures says as much of every layer (TRN-1)', { found: terms.length, expected });
  }
}
