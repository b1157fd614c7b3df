import { isThenable, type TensorArray } from '@troupe/core';

/** The tokens of consecutive sequences, one after the other; see `Batch` of the model. */
export interface TokenBatch {
  readonly ids_T: Int32Array;
  readonly targets_T: Int32Array;
  readonly firstSeen_T: Int32Array;
  readonly valid_T: Uint8Array;
}

/**
 * Where sequences come from. DAT-1: sequence i of step t is a pure function of (seed, t, i), so any replica may ask for any of them.
 */
export interface TokenSource {
  /** Sequences [first, first + count) of the global batch of `step` (from 1). */
  trainBatch(step: number, first: number, count: number): TokenBatch | PromiseLike<TokenBatch>;
  /** Held-out sequences [first, first + count); beyond the last: padding (targets -1, valid 0). */
  evalBatch(first: number, count: number): TokenBatch | PromiseLike<TokenBatch>;
}

/** Arrays of a batch. */
export const NUM_ARRAYS = 4;

const arraysOf = ({ ids_T, targets_T, firstSeen_T, valid_T }: TokenBatch): readonly TensorArray[] => [
  ids_T,
  targets_T,
  firstSeen_T,
  valid_T,
];

/** The arrays of batches, one batch after the other: at once, or a promise where one of them has to be waited for. */
export function arraysOfAll(
  batches: readonly (TokenBatch | PromiseLike<TokenBatch>)[],
): readonly TensorArray[] | Promise<readonly TensorArray[]> {
  const isHere = (batch: TokenBatch | PromiseLike<TokenBatch>): batch is TokenBatch => !isThenable(batch);
  if (batches.every(isHere)) return batches.flatMap(arraysOf);
  return Promise.all(batches.map((batch) => Promise.resolve(batch))).then((all) => all.flatMap(arraysOf));
}
