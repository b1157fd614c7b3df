import { assert, prng } from '@troupe/core';
import { emptyBatch, type Batch, type BatchSource } from './batch.ts';
import { emptySource, fillSource } from './zipf-source.ts';

/** Different global batches before the first comes again. */
const NUM_BATCHES = 8;

export interface ZipfBatchesOptions {
  readonly vocab: number;
  readonly seqLen: number;
  readonly batch: number;
  readonly seed: number;
  /** Positions of what an encoder reads; null (default): the model has none. */
  readonly encoderSeqLen?: number | null;
}

/**
 * Synthetic tokens for benches: independent draws with p ∝ 1/rank, ranks dealt to ids by a seeded permutation, 8
 * global batches in turn. Evaluation shows one more batch of the same kind.
 *
 * Routers see the skew of real text and there is nothing to tokenise; the best possible loss is {@link zipfEntropy}.
 */
export function zipfBatches(options: ZipfBatchesOptions): BatchSource {
  return new ZipfBatches(options);
}

/** Entropy of one drawn token, nats. */
export function zipfEntropy(vocab: number): number {
  let total = 0;
  for (let rank = 1; rank <= vocab; rank++) total += 1 / rank;
  let entropy = 0;
  for (let rank = 1; rank <= vocab; rank++) entropy += (Math.log(rank) + Math.log(total)) / (rank * total);
  return entropy;
}

class ZipfBatches implements BatchSource {
  readonly vocabSize: number;
  readonly seqLen: number;
  readonly batch: number;
  readonly numTrainWindows: number;
  readonly numEvalSequences: number;
  readonly numEvalTargets: number;
  private readonly seed: number;
  private readonly encoderSeqLen: number | null;
  /** Upper bounds of the ranks' shares of [0, 1). */
  private readonly cumulative: Float64Array;
  /** Dealt when the first token is drawn: who only asks for sizes does not wait. */
  private idOfRank: Int32Array | null = null;
  /** Sequences drawn so far, at most (8 + 1) · batch: drawing must not show in a bench. */
  private readonly drawn = new Map<number, Int32Array>();

  constructor({ vocab, seqLen, batch, seed, encoderSeqLen = null }: ZipfBatchesOptions) {
    for (const [name, value] of Object.entries({ vocab, seqLen, batch }))
      assert(Number.isInteger(value) && value >= 1, `${name} is a positive integer`, { value });
    this.vocabSize = vocab;
    this.seqLen = seqLen;
    this.batch = batch;
    this.seed = seed;
    this.encoderSeqLen = encoderSeqLen;
    this.numTrainWindows = NUM_BATCHES * batch;
    this.numEvalSequences = batch;
    this.numEvalTargets = batch * seqLen;
    this.cumulative = Float64Array.from({ length: vocab }, (_, i) => 1 / (i + 1));
    for (let i = 1; i < vocab; i++)
      this.cumulative[i] = (this.cumulative[i] ?? 0) + (this.cumulative[i - 1] ?? 0);
    const total = this.cumulative[vocab - 1] ?? 1;
    for (let i = 0; i < vocab; i++) this.cumulative[i] = (this.cumulative[i] ?? 0) / total;
  }

  trainBatch(step: number, firstSequence: number, count: number): Batch {
    assert(Number.isInteger(step) && step >= 0, 'steps are counted from 0', { step });
    assert(firstSequence >= 0 && firstSequence + count <= this.batch, 'sequences inside the global batch', {
      firstSequence,
      count,
      batch: this.batch,
    });
    return this.fill(step % NUM_BATCHES, firstSequence, count);
  }

  evalBatch(firstSequence: number, count: number): Batch {
    assert(firstSequence >= 0, 'evaluation sequences are counted from 0', { firstSequence });
    return this.fill(NUM_BATCHES, firstSequence, count);
  }

  validTargets(_step: number, batch = this.batch): number {
    assert(batch === this.batch, 'the batch of this source', { batch, expected: this.batch });
    return this.batch * this.seqLen;
  }

  private fill(batchIndex: number, firstSequence: number, count: number): Batch {
    const own = emptyBatch(count, this.seqLen, 0);
    const { encoderSeqLen: length } = this;
    const source = length === null ? null : emptySource(own, length);
    const out = source === null ? own : { ...own, source };
    const numReal = Math.min(count, this.batch - firstSequence);
    for (let slot = 0; slot < numReal; slot++) {
      const tokens = this.sequence(batchIndex, firstSequence + slot);
      const row = slot * this.seqLen;
      out.ids_T.set(tokens.subarray(0, this.seqLen), row);
      out.targets_T.set(tokens.subarray(1), row);
      out.firstSeen_T.fill(0, row, row + this.seqLen);
      out.valid_T.fill(1, row, row + this.seqLen);
      if (source === null || length === null) continue;
      const key = { seed: this.seed, step: batchIndex, sequence: firstSequence + slot };
      fillSource(out, source, {
        slot,
        length,
        seqLen: this.seqLen,
        key,
        idAt: (share) => this.idAt(share),
      });
    }
    return out;
  }

  private sequence(batchIndex: number, index: number): Int32Array {
    const key = batchIndex * this.batch + index;
    let tokens = this.drawn.get(key);
    if (tokens === undefined) {
      const draws = prng({ seed: this.seed, purpose: 'data.zipf', step: batchIndex, sequence: index });
      tokens = Int32Array.from({ length: this.seqLen + 1 }, (_, position) =>
        this.idAt(draws.uniform(position)),
      );
      this.drawn.set(key, tokens);
    }
    return tokens;
  }

  /** The id whose share of [0, 1) holds `share`. */
  private idAt(share: number): number {
    let low = 0;
    let high = this.vocabSize - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.cumulative[middle] ?? 1) > share) high = middle;
      else low = middle + 1;
    }
    this.idOfRank ??= shuffled(this.vocabSize, this.seed);
    return this.idOfRank[low] ?? 0;
  }
}

/** 0 … length-1 in a seeded order (Fisher and Yates). */
function shuffled(length: number, seed: number): Int32Array {
  const draws = prng({ seed, purpose: 'data.zipf.ranks' });
  const ids = Int32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const other = draws.integer(i, i + 1);
    const id = ids[i] ?? 0;
    ids[i] = ids[other] ?? 0;
    ids[other] = id;
  }
  return ids;
}
