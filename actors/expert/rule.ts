import type { ExactSum, ExpertsBackwardCall, ExpertsForwardCall, KernelCall } from '@troupe/core';

/** A backward call whose gradient goes to a sum: an own expert may add to it in several calls. */
export type OwnBackwardCall = ExpertsBackwardCall & { readonly weightSum: ExactSum };

/**
 * An own expert: replaces the grouped FFN of an expert actor by other kernel calls over the same parameters.
 *
 * It receives the call that the default expert would make, with every buffer in place, and returns what to run instead.
 */
export interface ExpertRule {
  readonly name: string;
  forward(call: ExpertsForwardCall): readonly KernelCall[];
  /** Must add the weights' gradients to `call.weightSum` and write every source's `dx_ND`. */
  backward(call: OwnBackwardCall): readonly KernelCall[];
}
