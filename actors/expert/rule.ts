import type { DeviceInfo, ExactSum, ExpertsBackwardCall, ExpertsForwardCall, KernelCall } from '@troupe/core';
import type { ExpertParameter } from '@troupe/spec';

/** A backward call whose gradient goes to a sum: an own expert may add to it in several calls. */
export type OwnBackwardCall = ExpertsBackwardCall & { readonly weightSum: ExactSum };

/**
 * An own expert: replaces the grouped FFN of an expert actor by other kernel calls, over the same parameters or its own.
 *
 * It receives the call that the default expert would make, with every buffer in place, and returns what to run instead.
 */
export interface ExpertRule {
  readonly name: string;
  /** The only body of `Device` that runs its calls; absent: every body does. */
  readonly body?: DeviceInfo['body'];
  /** What every expert has instead of gate, up and down: drawn, owned, updated and checkpointed as these are. Absent: those. */
  parameters?(shape: { readonly dim: number; readonly hidden: number }): readonly ExpertParameter[];
  forward(call: ExpertsForwardCall): readonly KernelCall[];
  /** Must add the weights' gradients to `call.weightSum` and write every source's `dx_ND`. */
  backward(call: OwnBackwardCall): readonly KernelCall[];
}
