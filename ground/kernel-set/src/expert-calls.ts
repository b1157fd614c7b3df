/** Calls of the experts that every body knows. */
import type { ExpertSource } from './expert-source.ts';
import type { GradientTarget } from './gradient-target.ts';
import type { Floats, Halves } from './device-array.ts';
import type { Activation, Precision, Weights } from './operands.ts';

/**
 * The FFN of a group of experts over the rows of all sources. Weights of expert e: `weights[e·expertStride …]` holds
 * gate [F, D] (gated activations only), up [F, D], down [D, F], one after the other. `expertStride` ≥ that size
 * (slices are padded to NORM_BLOCK); what lies between experts is never read or written.
 *
 * swiglu: down·(silu(gate·x) ⊙ (up·x)); others: down·act(up·x). No biases.
 * y of source s is in the source's own row order, [N_s, D].
 *
 * In bf16 pre-activations are rounded to bf16, saved or not, before the activation, so that the backward pass differentiates what
 * the forward pass computed; the activation itself is f32 and is rounded as an operand of the next product.
 */
export interface ExpertsForwardCall {
  readonly op: 'experts.forward';
  readonly experts: number;
  readonly dim: number;
  readonly hidden: number;
  readonly activation: Activation;
  readonly weights: Weights;
  readonly expertStride: number;
  readonly sources: readonly (ExpertSource & { readonly y_ND: Floats })[];
  /** True: y is the start of the chain (a residual copied there before). Default false. */
  readonly accumulate?: boolean;
  /**
   * Pre-activations, [N, hiddenInputs·F], in compute order (expert, source, grain, token); absent: inference. Of the device's
   * floats with precision f32, `Halves` with bf16.
   */
  readonly saved?: Floats | Halves;
  readonly precision?: Precision;
}

/** What all backward calls of the experts share. */
interface ExpertsBackwardShape {
  readonly experts: number;
  readonly dim: number;
  readonly hidden: number;
  readonly activation: Activation;
  readonly weights: Weights;
  readonly expertStride: number;
  /** As the forward pass left it. */
  readonly saved: Floats | Halves;
  readonly precision?: Precision;
}

/** A source of a backward pass. */
interface ExpertGradientSource extends ExpertSource {
  /** Gradient of the combined output of each distinct token, [U, D]. */
  readonly dOut_UD: Floats;
  /** Combine weight of each row: the gradient of row r is rowWeights[r]·dOut[slots[r]]; absent: 1. */
  readonly rowWeights_N?: Floats;
}

/** Gradients of the same: dx of every row, and a leaf of every weight for each (expert, source, grain). */
export interface ExpertsBackwardCall extends ExpertsBackwardShape {
  readonly op: 'experts.backward';
  readonly sources: readonly (ExpertGradientSource & {
    /** Gradient of each row's input, [N_s, D]. */
    readonly dx_ND: Floats;
  })[];
  /** True: dx is the start of the chain. Default false. */
  readonly accumulate?: boolean;
  /** Same layout as `weights`. */
  readonly weightSum: GradientTarget;
}

/** The half of `experts.backward` that others wait for: dx, and what the other half needs of it. Together they leave the bits of the whole. */
export interface ExpertsBackwardInputCall extends Omit<ExpertsBackwardCall, 'op' | 'weightSum'> {
  readonly op: 'experts.backward.input';
  /** Gets the gradients of the pre-activations, in the layout and the storage of `saved`. */
  readonly dSaved: Floats | Halves;
}

/**
 * The other half, at any later time: the weights' leaves, from the same sources, `saved` and `dSaved`. Activations are computed again.
 *
 * `weights` are those of the first half: a body whose floats `dSaved` cannot hold computes it again too.
 */
export interface ExpertsBackwardWeightCall extends ExpertsBackwardShape {
  readonly op: 'experts.backward.weight';
  readonly sources: readonly ExpertGradientSource[];
  readonly dSaved: Floats | Halves;
  readonly weightSum: GradientTarget;
}

export type ExpertCall =
  ExpertsForwardCall | ExpertsBackwardCall | ExpertsBackwardInputCall | ExpertsBackwardWeightCall;
