import { assert } from '@troupe/core';
import type { Floats, GradientTarget, KernelCall } from '@troupe/kernel-set';
import type { DeviceBatch } from './batch.ts';
import { normBackward, normForward, rowsOf } from './norms.ts';
import { gradientsOf, type StageContext } from './stage-context.ts';

/** Training: every token's gradient carries 1 / valid targets of the global batch. Evaluation: the loss alone. */
export type HeadMode = { readonly gradScale: number } | { readonly evaluate: true };

function headUnit(ctx: StageContext): string {
  return ctx.shape.config.tiedHead ? 'embed' : 'head';
}

/** The stage's output → the last norm. */
export function finalNormForward(ctx: StageContext): KernelCall[] {
  const { act } = ctx;
  return [
    normForward(ctx, 'norm', act.hidden(act.firstLayer + act.numLayers), act.finalNormed_TD, act.finalStats),
  ];
}

/** Last norm, head and cross entropy; with `gradScale` also the head's backward pass, gradient in dNormed. */
export function headForward(ctx: StageContext, batch: DeviceBatch, mode: HeadMode): KernelCall[] {
  const { act } = ctx;
  const { dModel, vocab } = ctx.shape.config;
  const unitId = headUnit(ctx);
  const training: { gradScale: number; dx_TD: Floats; headSum: GradientTarget } | null =
    'gradScale' in mode
      ? { gradScale: mode.gradScale, dx_TD: act.gradients.dNormed_TD, headSum: gradientsOf(ctx).view(unitId) }
      : null;
  return [
    ...finalNormForward(ctx),
    {
      op: 'head.loss',
      tokens: act.tokens,
      dim: dModel,
      vocab,
      x_TD: act.finalNormed_TD,
      head_VD: ctx.weights.operand(unitId),
      targets_T: batch.targets_T,
      grainStarts: act.grainStarts,
      loss_T: act.loss_T,
      lossSum: ctx.statistics.lossSum,
      precision: act.precision,
      ...training,
    },
  ];
}

/** dNormed of the head → dHidden of the stage's output. */
export function headBackward(ctx: StageContext): KernelCall[] {
  const { act } = ctx;
  const { dHidden_TD, dNormed_TD } = act.gradients;
  return [
    normBackward(ctx, 'norm', {
      x: act.hidden(act.firstLayer + act.numLayers),
      stats: act.finalStats,
      dOut: dNormed_TD,
      dx: dHidden_TD,
      accumulate: false,
    }),
  ];
}

/**
 * Logits of `rows` tokens from `firstRow`, [rows, V], of what {@link finalNormForward} left.
 *
 * @param out - at least rows·V
 */
export function headLogits(
  ctx: StageContext,
  slice: { readonly firstRow: number; readonly rows: number; readonly out: Floats },
): KernelCall[] {
  const { dModel, vocab } = ctx.shape.config;
  assert(slice.out.length >= slice.rows * vocab, 'logits are [rows, V]', { found: slice.out.length });
  return [
    {
      op: 'linear.forward',
      rows: slice.rows,
      inDim: dModel,
      outDim: vocab,
      x: { ...rowsOf(ctx.act.finalNormed_TD), offset: slice.firstRow * dModel },
      precision: ctx.act.precision,
      weight: ctx.weights.operand(headUnit(ctx)),
      out: { data: slice.out },
    },
  ];
}
