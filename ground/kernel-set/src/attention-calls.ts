import type { Floats, Ints } from './device-array.ts';
import type { GradientTarget } from './gradient-target.ts';
import type { Rows } from './operands.ts';
import type { RelativeBuckets } from './relative-buckets.ts';

/**
 * Added to the scaled score of a key: a value by head and by the bucket of the key's position less the row's. Bidirectional: the row's place
 * in its sequence. Causal: the last key that it sees, which is its place too, and holds over a cache as well.
 */
export interface RelativeBias extends RelativeBuckets {
  /** [buckets, heads]. */
  readonly table_BH: Floats;
}

/**
 * Grouped-query attention of B sequences: `seqLen` rows of queries each, over `keyLen` rows of keys and values; head h reads key/value head
 * floor(h·kvHeads/heads). Online softmax; the matrix of weights is never stored.
 *
 * Row t of a sequence sees the keys from `firstSeen_T[t]` up to, without it, `endSeen_T[t]`, positions in its sequence of keys. So one call is
 * causal (no `endSeen_T`), bidirectional, of another stream (`keyLen`), over a cache that is not full, or of several texts in one window. A row
 * that sees nothing gives 0 and a log-sum-exp of -inf, and has no gradient.
 *
 * @see Vaswani et al. 2017, arXiv:1706.03762, §3.2
 */
interface Attention {
  readonly batch: number;
  readonly seqLen: number;
  /** Rows of keys and values a sequence; absent: `seqLen`. Another length needs `endSeen_T`. */
  readonly keyLen?: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly scale: number;
  /** [T, heads·headDim]. */
  readonly q: Rows;
  /** [B·keyLen, kvHeads·headDim]. */
  readonly k: Rows;
  readonly v: Rows;
  /** Position of the first key that a row sees (document starts); absent: 0. */
  readonly firstSeen_T?: Ints;
  /** One past the last key that a row sees, 0 to keyLen; absent: its own position and those before it. */
  readonly endSeen_T?: Ints;
  readonly bias?: RelativeBias;
  /** Log-sum-exp of the scaled scores, [T, heads]: what the backward pass needs of the forward pass. */
  readonly lse_TH: Floats;
}

/** @throws TROUPE_KERNEL_RANGE (as the completion's error) for an `endSeen_T` that is not 0 to keyLen, with a `firstSeen_T` likewise */
export interface AttentionForwardCall extends Attention {
  readonly op: 'attention.forward';
  readonly out: Rows;
}

/** Gradients of the sums ⟨dOut, out⟩. dk and dv of a key have one owner, who adds heads, then rows, in ascending order. */
export interface AttentionBackwardCall extends Attention {
  readonly op: 'attention.backward';
  readonly out: Rows;
  readonly dOut: Rows;
  readonly dq: Rows;
  /** [B·keyLen, kvHeads·headDim], 0 for a key that no row sees. */
  readonly dk: Rows;
  readonly dv: Rows;
  /**
   * Of `bias`, [buckets, heads], a leaf per grain: of each row the chain over its keys in ascending order for each bucket, and these as a chain
   * over the grain's rows.
   */
  readonly biasSum?: GradientTarget;
  /** With `biasSum`: G+1 row bounds of the grains, first 0, last T; between whole sequences. */
  readonly grainStarts?: Ints;
}

export type AttentionCall = AttentionForwardCall | AttentionBackwardCall;
