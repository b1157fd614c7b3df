import {
  hiddenInputs,
  type Activation,
  type ExpertsBackwardCall,
  type ExpertsForwardCall,
  type Floats,
  type GradientTarget,
  type Halves,
  type KernelCall,
  type Precision,
  type Weights,
} from '@troupe/kernel-set';
import { expertUnit, type ModelConfig } from '@troupe/spec';

/** A group of experts of one layer whose weights lie side by side, `expertStride` elements apart. */
export interface ExpertShape {
  readonly experts: number;
  readonly dim: number;
  readonly hidden: number;
  readonly activation: Activation;
  readonly expertStride: number;
  readonly precision: Precision;
}

/** Rows that experts computed, rounded to the format of the wire: in place where a gate beside reads them, else into what travels. */
export function roundedRows(
  format: Precision | undefined,
  x: Floats,
  out: Floats | Halves = x,
): KernelCall[] {
  return format === 'bf16' ? [{ op: 'round.bf16', x, out }] : [];
}

/** Rows that arrived in bf16, as kernels read them. */
export function widenedRows(x: Halves, out: Floats): KernelCall[] {
  return [{ op: 'round.bf16', x, out }];
}

/** The shape of `experts` experts of layer `layer`. */
export function expertShape(
  config: ModelConfig,
  layer: number,
  experts: number,
  precision: Precision,
): ExpertShape {
  const unit = expertUnit(config, layer, 0);
  return {
    experts,
    dim: config.dModel,
    hidden: config.moe?.dExpert ?? 0,
    activation: config.ffn.activation,
    expertStride: unit.paddedSize,
    precision,
  };
}

/** Elements of the pre-activations that `rows` rows leave for the backward pass. */
export function savedLength(shape: ExpertShape, rows: number): number {
  return rows * hiddenInputs(shape.activation) * shape.hidden;
}

/**
 * The FFN of every expert over the rows of all sources, in source order.
 *
 * @param saved - {@link savedLength} of all sources' rows, in the shape's precision; null at inference
 */
export function expertsForward(
  shape: ExpertShape,
  weights: Weights,
  sources: ExpertsForwardCall['sources'],
  saved: Floats | Halves | null,
): KernelCall[] {
  return [{ op: 'experts.forward', ...shape, weights, sources, ...(saved === null ? {} : { saved }) }];
}

/** Input gradients of all sources' rows, and the weights' leaves; the sources come in the order of the forward pass. */
export function expertsBackward(
  shape: ExpertShape,
  weights: Weights,
  weightSum: GradientTarget,
  sources: ExpertsBackwardCall['sources'],
  saved: Floats | Halves,
): KernelCall[] {
  return [{ op: 'experts.backward', ...shape, weights, sources, saved, weightSum }];
}
