import type { Floats, Ints } from './device-array.ts';

/**
 * out_TD[t] += table_SD[position], position = t mod seqLen - firstSeen_T[t] + firstPosition: a table of positions, counted from where the
 * text of a row begins. Gradients pass it unchanged.
 *
 * @throws TROUPE_KERNEL_RANGE (as the completion's error) for a `firstSeen_T` that is not 0 to the row's own place
 * @see Vaswani et al. 2017, arXiv:1706.03762, §3.5 (sinusoidal tables)
 */
export interface PositionsAddCall {
  readonly op: 'positions.add';
  readonly rows: number;
  readonly seqLen: number;
  readonly dim: number;
  readonly out_TD: Floats;
  readonly table_SD: Floats;
  /** Place in its sequence where the text of each row begins; absent: 0. */
  readonly firstSeen_T?: Ints;
  /** Position of the first row of each sequence; default 0 (generation with a cache sets it). */
  readonly firstPosition?: number;
}
