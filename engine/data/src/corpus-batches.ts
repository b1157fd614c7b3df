import { assert } from '@troupe/core';
import { emptyBatch, type Batch, type BatchSource } from './batch.ts';
import type { Corpus } from './corpus.ts';
import { CorpusTooSmallError } from './errors.ts';
import { permutation } from './permutation.ts';
import { fillWindow, numPaddedWindows, numWholeWindows } from './window.ts';

export interface CorpusBatchesOptions {
  readonly seqLen: number;
  /** Sequences of a global batch: with it (step, i) names a place in the endless order of windows. */
  readonly batch: number;
  readonly seed: number;
}

/**
 * Batches of a corpus. Each epoch is its own seeded permutation of all windows, so no window comes twice before
 * all came once, and any step is found without going through earlier ones.
 *
 * The last, incomplete training window is left out, except that a corpus shorter than one window trains on it, padded.
 *
 * @throws {CorpusTooSmallError} TROUPE_DATA_TOO_SMALL without a single target
 */
export function corpusBatches(corpus: Corpus, options: CorpusBatchesOptions): BatchSource {
  return new CorpusBatches(corpus, options);
}

class CorpusBatches implements BatchSource {
  readonly vocabSize: number;
  readonly seqLen: number;
  readonly batch: number;
  readonly numTrainWindows: number;
  readonly numEvalSequences: number;
  readonly numEvalTargets: number;
  private readonly corpus: Corpus;
  private readonly seed: number;
  private readonly padId: number;
  private epoch = -1;
  private order: (index: number) => number = (index) => index;

  constructor(corpus: Corpus, { seqLen, batch, seed }: CorpusBatchesOptions) {
    assert(Number.isInteger(seqLen) && seqLen >= 1, 'seqLen is a positive integer', { seqLen });
    assert(Number.isInteger(batch) && batch >= 1, 'batch is a positive integer', { batch });
    const numTokens = corpus.train.tokens.length;
    if (numTokens < 2)
      throw new CorpusTooSmallError(numTokens, 'add text, or lower data.holdout if it took every document');
    this.corpus = corpus;
    this.vocabSize = corpus.vocabSize;
    this.seqLen = seqLen;
    this.batch = batch;
    this.seed = seed;
    this.padId = corpus.endOfText ?? 0;
    this.numTrainWindows = Math.max(1, numWholeWindows(numTokens, seqLen));
    this.numEvalSequences = numPaddedWindows(corpus.heldOut.tokens.length, seqLen);
    this.numEvalTargets = Math.max(0, corpus.heldOut.tokens.length - 1);
  }

  trainBatch(step: number, firstSequence: number, count: number): Batch {
    assert(firstSequence >= 0 && firstSequence + count <= this.batch, 'sequences inside the global batch', {
      firstSequence,
      count,
      batch: this.batch,
    });
    const out = emptyBatch(count, this.seqLen, this.padId);
    for (let slot = 0; slot < count; slot++)
      fillWindow(out, slot, this.corpus.train, this.windowAt(step, firstSequence + slot), this.seqLen);
    return out;
  }

  evalBatch(firstSequence: number, count: number): Batch {
    assert(firstSequence >= 0, 'evaluation sequences are counted from 0', { firstSequence });
    const out = emptyBatch(count, this.seqLen, this.padId);
    for (let slot = 0; slot < count; slot++)
      fillWindow(out, slot, this.corpus.heldOut, firstSequence + slot, this.seqLen);
    return out;
  }

  validTargets(_step: number, batch = this.batch): number {
    assert(batch === this.batch, 'the batch that the order of windows was made for', {
      batch,
      expected: this.batch,
    });
    return this.batch * Math.min(this.seqLen, this.corpus.train.tokens.length - 1);
  }

  /** The window that sequence `index` of step `step` shows. */
  private windowAt(step: number, index: number): number {
    assert(Number.isInteger(step) && step >= 0, 'steps are counted from 0', { step });
    const place = step * this.batch + index;
    const epoch = Math.floor(place / this.numTrainWindows);
    if (epoch !== this.epoch) {
      this.order = permutation(this.numTrainWindows, { seed: this.seed, purpose: 'data.order', step: epoch });
      this.epoch = epoch;
    }
    return this.order(place % this.numTrainWindows);
  }
}
