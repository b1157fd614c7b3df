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
import { blockOf, expertUnit, rangeOfSegment, type ModelConfig, type Segment } from '@troupe/spec';
import { assert } from '@troupe/core';

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

/** The shape of a group of experts of a layer, or of a segment of them. */
export function expertShape(
  config: ModelConfig,
  group: { readonly layer: number; readonly experts: number; readonly precision: Precision },
  segment: Segment = { count: 1, index: 0 },
): ExpertShape {
  const { layer, experts, precision } = group;
  const { ffn } = blockOf(config, layer);
  assert(ffn.kind === 'moe', 'only blocks with experts have expert shapes', { layer });
  const { from, to } = rangeOfSegment(segment, ffn.hidden);
  return {
    experts,
    dim: config.dModel,
    hidden: to - from,
    activation: config.ffn.activation,
    expertStride: expertUnit(config, layer, 0, segment).paddedSize,
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
