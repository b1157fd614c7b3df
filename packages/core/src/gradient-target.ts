import type { Floats } from './tensor.ts';

/**
 * A sum whose terms may arrive in any order. The value of element i is `values[i] · 2^GRADIENT_QUANTUM_LOG2`.
 */
export interface ExactSum {
  readonly values: BigInt64Array;
  /** One element; set to 1 when any leaf was NaN or out of range, never set back by a kernel. */
  readonly overflow: Int32Array;
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
  readonly overflow: Int32Array;
}

/** Where a kernel puts the gradient of a parameter. */
export type GradientTarget = AddedGradient | StoredGradient;
