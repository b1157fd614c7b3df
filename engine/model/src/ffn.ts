import type { Floats, KernelCall } from '@troupe/kernel-set';
import { assert } from '@troupe/core';
import { blockOf } from '@troupe/spec';
import { gradientsOf, type StageContext } from './stage-context.ts';

/** A dense FFN is one expert that every row visits: the kernel of the experts serves it, rows in order. */
function denseSource(ctx: StageContext, layer: number) {
  const { act } = ctx;
  return { x_UD: act.layer(layer).normed_TD, counts_EG: act.grainCounts, numGrains: ctx.shape.grains };
}

function denseShape(ctx: StageContext, unitId: string, hidden: number) {
  const { config } = ctx.shape;
  const weights = ctx.weights.operand(unitId);
  return {
    experts: 1,
    dim: config.dModel,
    hidden,
    activation: config.ffn.activation,
    weights,
    expertStride: weights.length,
    precision: ctx.act.precision,
  };
}

/** out = mid[l] + FFN(normed[l]) for the FFN of `unitId`; used by dense layers and by shared experts. */
export function residualFfnForward(
  ctx: StageContext,
  layer: number,
  ffn: { readonly unitId: string; readonly hidden: number; readonly out: Floats },
): KernelCall[] {
  const { mid_TD, ffnSaved } = ctx.act.layer(layer);
  return [
    { op: 'copy', from: mid_TD, out: ffn.out },
    {
      op: 'experts.forward',
      ...denseShape(ctx, ffn.unitId, ffn.hidden),
      sources: [{ ...denseSource(ctx, layer), y_ND: ffn.out }],
      accumulate: true,
      ...(ffnSaved === null ? {} : { saved: ffnSaved }),
    },
  ];
}

/** dNormed (+)= gradient of the FFN of `unitId`, whose output's gradient is dHidden. */
export function residualFfnBackward(
  ctx: StageContext,
  layer: number,
  ffn: { readonly unitId: string; readonly hidden: number; readonly accumulate: boolean },
): KernelCall[] {
  const { ffnSaved } = ctx.act.layer(layer);
  const { dHidden_TD, dNormed_TD } = ctx.act.gradients;
  assert(ffnSaved !== null, 'a backward pass needs what the forward pass saved', { layer });
  return [
    {
      op: 'experts.backward',
      ...denseShape(ctx, ffn.unitId, ffn.hidden),
      sources: [{ ...denseSource(ctx, layer), dOut_UD: dHidden_TD, dx_ND: dNormed_TD }],
      accumulate: ffn.accumulate,
      saved: ffnSaved,
      weightSum: gradientsOf(ctx).view(ffn.unitId),
    },
  ];
}

function denseHidden(ctx: StageContext, layer: number): number {
  const { ffn } = blockOf(ctx.shape.config, layer);
  assert(ffn.kind === 'dense', 'the block has a dense FFN', { layer });
  return ffn.hidden;
}

/** Dense layer: hidden[l+1] = mid[l] + FFN(normed[l]). */
export function ffnForward(ctx: StageContext, layer: number): KernelCall[] {
  const hidden = denseHidden(ctx, layer);
  return residualFfnForward(ctx, layer, { unitId: `L${layer}/ffn`, hidden, out: ctx.act.hidden(layer + 1) });
}

/** Dense layer: dHidden → dNormed; `attentionBackward` comes next. */
export function ffnBackward(ctx: StageContext, layer: number): KernelCall[] {
  const hidden = denseHidden(ctx, layer);
  return residualFfnBackward(ctx, layer, { unitId: `L${layer}/ffn`, hidden, accumulate: false });
}
