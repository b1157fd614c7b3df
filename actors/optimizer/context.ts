/** Where a shard gets its state from: drawn from the seed, read from the store's snapshot. */
export type StateSource = 'seed' | 'snapshot';

export interface OptimizerContext {
  /** Updates that the weights here have received. */
  readonly version: number;
  readonly attempt: number;
  /** The state of `version` is here completely; false in a life that has just begun. */
  readonly loaded: boolean;
  /** Takes the place of a lost shard: waits to be told where its state is. */
  readonly joins: boolean;
  readonly opened: boolean;
  /** The level of the exchange at which sums are awaited. */
  readonly level: number;
  /** Elements that have been added, by level: leaves of the group, then sums of groups. */
  readonly received: readonly number[];
  readonly expected: readonly number[];
  /** Gradients come in buckets, after each microbatch and at all levels at once, each level's sums from the one before. */
  readonly inBuckets: boolean;
  /** Elements of finished sums that peers sent (ZeRO 0). */
  readonly totals: number;
  readonly expectedTotals: number;
  /** Units of the slice, and those whose state is still on its way from the store. */
  readonly pieces: number;
  readonly missing: number;
  /** Elements of the state that a peer has sent. */
  readonly copied: number;
  readonly owned: number;
  readonly source: StateSource;
  /** Readers hold some of the weights rounded, so what was put in has to be rounded first. */
  readonly rounds: boolean;
  /** Elements that the buddy must hold before this shard goes on (0: it has no buddy), and those that it has said it holds. */
  readonly guarded: number;
  readonly kept: number;
}

export type OptimizerInput = Pick<
  OptimizerContext,
  | 'version'
  | 'joins'
  | 'expected'
  | 'inBuckets'
  | 'expectedTotals'
  | 'pieces'
  | 'owned'
  | 'source'
  | 'rounds'
  | 'guarded'
>;
