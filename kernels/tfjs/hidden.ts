/** The activation of the expert FFN, on [hidden, rows] matrices. */
import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Activation } from '@troupe/kernel-set';
import { activate, activationSlope } from '../reference/activation.ts';
import type { Tensors } from './tensors.ts';

/**
 * h = silu(gate) ⊙ up, or act(up).
 *
 * swiglu takes its sigmoid from TensorFlow.js, which costs 1 ns an element where Math.exp costs 13.
 *
 * @param before - pre-activations: gate and up, or up alone
 */
export function hiddenOf(
  tensors: Tensors,
  activation: Activation,
  before: readonly Tensor2D[],
  hidden: number,
  rows: number,
): Tensor2D {
  const length = hidden * rows;
  const gated = activation === 'swiglu';
  const sigmoid = gated ? tensors.sigmoid(before[0]!) : undefined;
  return tensors.matrix(hidden, rows, (h) => {
    const first = tensors.elements(before[0]!);
    if (sigmoid === undefined) {
      for (let i = 0; i < length; i++) h[i] = activate(activation, first[i]!);
      return;
    }
    const s = tensors.elements(sigmoid);
    const up = tensors.elements(before[1]!);
    for (let i = 0; i < length; i++) h[i] = first[i]! * s[i]! * up[i]!;
  });
}

export interface HiddenGradient {
  /** h itself, [hidden, rows]; no tensor, so that it outlives the next one. */
  readonly h: Float32Array;
  /** Gradient of the pre-activations, [inputs·hidden, rows]. */
  readonly dBefore: Tensor2D;
}

export function hiddenBackward(
  tensors: Tensors,
  activation: Activation,
  before: readonly Tensor2D[],
  dh: Tensor2D,
  hidden: number,
  rows: number,
): HiddenGradient {
  const length = hidden * rows;
  const h = new Float32Array(length);
  const gated = activation === 'swiglu';
  const sigmoid = gated ? tensors.sigmoid(before[0]!) : undefined;
  const dBefore = tensors.matrix(before.length * hidden, rows, (to) => {
    const first = tensors.elements(before[0]!);
    const upstream = tensors.elements(dh);
    if (sigmoid === undefined) {
      for (let i = 0; i < length; i++) {
        h[i] = activate(activation, first[i]!);
        to[i] = upstream[i]! * activationSlope(activation, first[i]!);
      }
      return;
    }
    const s = tensors.elements(sigmoid);
    const up = tensors.elements(before[1]!);
    for (let i = 0; i < length; i++) {
      const gate = first[i]!;
      const silu = gate * s[i]!;
      const dSilu = s[i]! * (1 + gate * (1 - s[i]!));
      h[i] = silu * up[i]!;
      to[i] = upstream[i]! * up[i]! * dSilu;
      to[length + i] = upstream[i]! * silu;
    }
  });
  return { h, dBefore };
}
