import type { Batch } from '@troupe/model';

/** The tokens of consecutive sequences, one after the other. */
export type TokenBatch = Batch;

/**
 * Where sequences come from. DAT-1: sequence i of step t is a pure function of (seed, t, i), so any replica may ask for any of them.
 */
export interface TokenSource {
  /** Sequences [first, first + count) of the global batch of `step` (from 1). */
  trainBatch(step: number, first: number, count: number): TokenBatch | PromiseLike<TokenBatch>;
  /** Held-out sequences [first, first + count); beyond the last: padding (targets -1, valid 0). */
  evalBatch(first: number, count: number): TokenBatch | PromiseLike<TokenBatch>;
}
