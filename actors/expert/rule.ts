import type { ExpertsBackwardCall, ExpertsForwardCall, KernelCall } from '@troupe/core';

/**
 * An own expert: replaces the grouped FFN of an expert actor by other kernel calls over the same parameters.
 *
 * It receives the call that the default expert would make, with every buffer in place, and returns what to run instead.
 */
export interface ExpertRule {
  readonly name: string;
  forward(call: ExpertsForwardCall): readonly KernelCall[];
  /** Must add the weights' gradients to `call.weightSum` and write every source's `dx_ND`. */
  backward(call: ExpertsBackwardCall): readonly KernelCall[];
}
