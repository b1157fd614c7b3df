import { addWideSums, wideNumber } from '@troupe/core';
import { NORM_QUANTUM_LOG2 } from '@troupe/kernel-set';

/** What the shards have said of one attempt at a step: plain data, since whether a step is replayed is decided on it. */
export interface Votes {
  /** Sum of the squares of all gradients, a wide sum; it is never changed. */
  readonly normSum: BigInt64Array;
  /** Some leaf was NaN or out of range, or their norm is: the step is not finite. */
  readonly overflow: boolean;
}

export const noVotes: Votes = { normSum: new BigInt64Array(2), overflow: false };

/** @param norm128 - squared norm of the shard's slice, a wide sum */
export function addVote(votes: Votes, norm128: BigInt64Array, overflow: boolean): Votes {
  const normSum = votes.normSum.slice();
  addWideSums(normSum, norm128);
  return {
    normSum,
    overflow: votes.overflow || overflow || Number.isNaN(wideNumber(normSum, NORM_QUANTUM_LOG2)),
  };
}

/** Norm of the gradients; NaN when they are not finite. */
export const normOf = ({ normSum, overflow }: Votes): number =>
  overflow ? Number.NaN : Math.sqrt(wideNumber(normSum, NORM_QUANTUM_LOG2));
