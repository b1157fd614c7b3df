import type { Floats, Int64s, Ints } from './device-array.ts';

/**
 * A sum whose terms may arrive in any order. The value of element i is `values[i] · 2^GRADIENT_QUANTUM_LOG2`.
 */
export interface ExactSum {
  readonly values: Int64s;
  /** One element; set to 1 when any leaf was NaN or out of range, never set back by a kernel. */
  readonly overflow: Ints;
  /** A leaf of this size and more is out of range: {@link leafLimit} of all the leaves that the sum gets; 2^-26 to 64. Default 64, for up to 128. */
  readonly leafLimit?: number;
}

/** Of a sum whose number of leaves nobody says. */
export const GRADIENT_LEAF_LIMIT = 64;

/**
 * The limit under which `leaves` leaves cannot wrap an int64 sum of quanta 2^-50, by itself a bound on the mean of the leaves.
 *
 * Only the final sum has to fit; on its way there it may wrap.
 *
 * @param leaves - of all microbatches, replicas and uses of the parameter together, 1 to 2^31
 */
export function leafLimit(leaves: number): number {
  const bits = 32 - Math.clz32(leaves - 1); // ⌈log2 leaves⌉
  return Math.min(GRADIENT_LEAF_LIMIT, 2 ** (13 - bits));
}

/** A gradient whose leaves come from several calls. */
export interface AddedGradient extends ExactSum {
  /**
   * True: the call's own leaves replace what the sum held in every element that the call's shape covers, so nobody has to
   * reset it. Default false: they are added.
   */
  readonly begin?: boolean;
}

/**
 * A gradient whose leaves all come from this call. The exact sum lives only inside the call, and `gradient` gets what
 * `sum.read` would give: in every element that the call's shape covers, also where no row reached (zeros).
 */
export interface StoredGradient {
  readonly gradient: Floats;
  /** As in {@link ExactSum}. */
  readonly overflow: Ints;
  /** As in {@link ExactSum}: not of this call's leaves alone, so that layouts agree on what is out of range. */
  readonly leafLimit?: number;
}

/** Where a kernel puts the gradient of a parameter. */
export type GradientTarget = AddedGradient | StoredGradient;
