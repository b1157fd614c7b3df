import { assert } from '@troupe/core';
import type { DataRank } from './rank.ts';

/** Consecutive grains, or sequences, of a global batch. */
export interface Dealt {
  readonly first: number;
  readonly count: number;
}

/** What a global batch is dealt from. */
export interface Batch {
  /** Sequences. */
  readonly batch: number;
  /** The leaves of every sum over the batch: whole sequences, which no layout splits. */
  readonly grains: number;
  readonly microbatches: number;
}

/**
 * Who computes which sequences of a global batch.
 *
 * DEA-1: grains are dealt microbatch first: microbatch m of data rank r has grains [(m·dp + r)·g, (m·dp + r + 1)·g), g = grains / (dp ·
 * microbatches). So a global microbatch is a run of consecutive grains for every dp, and what is defined over such a run does not depend
 * on the layout. DEA-2: an evaluation's passes are dealt as microbatches are.
 */
export class Dealing {
  readonly batch: number;
  readonly grains: number;
  readonly microbatches: number;
  readonly sequencesPerGrain: number;
  /** Of one data rank's microbatch. */
  readonly microbatchGrains: number;
  readonly microbatchSequences: number;
  readonly #dp: number;

  constructor({ batch, grains, microbatches }: Batch, dp: number) {
    assert(
      grains % (dp * microbatches) === 0 && batch % grains === 0,
      'grains are whole sequences, and every microbatch has as many',
      { batch, grains, microbatches, dp },
    );
    this.batch = batch;
    this.grains = grains;
    this.microbatches = microbatches;
    this.sequencesPerGrain = batch / grains;
    this.microbatchGrains = grains / (dp * microbatches);
    this.microbatchSequences = this.microbatchGrains * this.sequencesPerGrain;
    this.#dp = dp;
  }

  grainsOf(rank: DataRank, microbatch: number): Dealt {
    assert(rank < this.#dp && microbatch >= 0, 'a microbatch belongs to a data rank', { rank, microbatch });
    return { first: (microbatch * this.#dp + rank) * this.microbatchGrains, count: this.microbatchGrains };
  }

  /** The same in sequences; a microbatch beyond the batch is a later pass of an evaluation. */
  sequencesOf(rank: DataRank, microbatch: number): Dealt {
    const { first, count } = this.grainsOf(rank, microbatch);
    return { first: first * this.sequencesPerGrain, count: count * this.sequencesPerGrain };
  }

  /** Passes of each data rank over so many held-out sequences; the last one may lie beyond them in part. */
  evaluationPasses(sequences: number): number {
    return Math.ceil(sequences / (this.microbatchSequences * this.#dp));
  }
}
