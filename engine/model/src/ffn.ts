import { assert } from '@troupe/core';
import type { Floats, KernelCall } from '@troupe/kernel-set';
import { blockOf, eachSegment, rangeOfSegment, segmentId } from '@troupe/spec';
import { memoryBackward, memoryForward } from './memory-norm.ts';
import { sumOver } from './partial-sums.ts';
import { matrixGradientsOf, type StageContext } from './stage-context.ts';
import type { Step } from './step.ts';
import { partialOf } from './sum-buffers.ts';
import { isWhole } from './tensor-share.ts';

/** An FFN that every row visits: a dense layer's, or that of the shared experts. */
export interface FfnUnit {
  readonly unitId: string;
  readonly hidden: number;
}

/** The segment `held` among those of this device. */
interface FfnSegment {
  readonly layer: number;
  readonly held: number;
  readonly unitId: string;
  readonly hidden: number;
}

function ffnSegments(ctx: StageContext, layer: number, { unitId, hidden }: FfnUnit): readonly FfnSegment[] {
  return eachSegment(ctx.act.tensor.segments).map((segment, held) => {
    const { from, to } = rangeOfSegment(segment, hidden);
    return { layer, held, unitId: segmentId(unitId, segment), hidden: to - from };
  });
}

/** A dense FFN is one expert that every row visits: the kernel of the experts serves it, rows in order. */
function denseSource(ctx: StageContext, layer: number) {
  const { act } = ctx;
  return { x_UD: act.layer(layer).normed_TD, counts_EG: act.grainCounts, numGrains: ctx.shape.grains };
}

function denseShape(ctx: StageContext, { unitId, hidden }: FfnSegment) {
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

const savedOf = (ctx: StageContext, { layer, held }: FfnSegment) =>
  ctx.act.layer(layer).segments[held]?.ffnSaved ?? null;

/** y of a segment, or added to what `y` holds. */
function segmentForward(ctx: StageContext, segment: FfnSegment, y: Floats, accumulate: boolean): KernelCall {
  const saved = savedOf(ctx, segment);
  return {
    op: 'experts.forward',
    ...denseShape(ctx, segment),
    sources: [{ ...denseSource(ctx, segment.layer), y_ND: y }],
    accumulate,
    ...(saved === null ? {} : { saved }),
  };
}

/** dx (+)= the gradient of a segment's FFN, whose output's gradient is dHidden. */
function segmentBackward(
  ctx: StageContext,
  segment: FfnSegment,
  dx: Floats,
  accumulate: boolean,
): KernelCall {
  const saved = savedOf(ctx, segment);
  assert(saved !== null, 'a backward pass needs what the forward pass saved', { layer: segment.layer });
  return {
    op: 'experts.backward',
    ...denseShape(ctx, segment),
    sources: [
      {
        ...denseSource(ctx, segment.layer),
        dOut_UD: ctx.act.gradients.dHidden_TD,
        dx_ND: dx,
      },
    ],
    accumulate,
    saved,
    weightSum: matrixGradientsOf(ctx).view(segment.unitId),
  };
}

/** Where matrices are whole: hidden[l+1] = mid[l] + FFN(normed[l]), one chain. */
export function residualFfnForward(ctx: StageContext, layer: number, ffn: FfnUnit): KernelCall[] {
  const out = ctx.act.hidden(layer + 1);
  return [
    { op: 'copy', from: ctx.act.layer(layer).mid_TD, out },
    ...ffnSegments(ctx, layer, ffn).map((segment) => segmentForward(ctx, segment, out, true)),
  ];
}

/** Where matrices are whole: dNormed (+)= gradient of the FFN. */
export function residualFfnBackward(
  ctx: StageContext,
  layer: number,
  ffn: FfnUnit & { readonly accumulate: boolean },
): KernelCall[] {
  const { dNormed_TD } = ctx.act.gradients;
  return ffnSegments(ctx, layer, ffn).map((segment) =>
    segmentBackward(ctx, segment, dNormed_TD, ffn.accumulate),
  );
}

/** The part of every segment of this device of FFN(normed[l]), in the buffers of its sum. */
export function partialFfnForward(ctx: StageContext, layer: number, ffn: FfnUnit): KernelCall[] {
  return ffnSegments(ctx, layer, ffn).map((segment) =>
    segmentForward(ctx, segment, partialOf(ctx.act.sums.ffn, segment.held), false),
  );
}

/** The same of the gradient of normed[l]. */
export function partialFfnBackward(ctx: StageContext, layer: number, ffn: FfnUnit): KernelCall[] {
  const { sums } = ctx.act.gradients;
  return ffnSegments(ctx, layer, ffn).map((segment) =>
    segmentBackward(ctx, segment, partialOf(sums.ffn, segment.held), false),
  );
}

/** The FFN of a layer's shared experts; null without. */
export function sharedFfn(ctx: StageContext, layer: number): FfnUnit | null {
  const { ffn } = blockOf(ctx.shape.config, layer);
  assert(ffn.kind === 'moe', 'only blocks with experts share some', { layer });
  return ffn.sharedHidden === 0 ? null : { unitId: `L${layer}/shared`, hidden: ffn.sharedHidden };
}

function denseFfn(ctx: StageContext, layer: number): FfnUnit {
  const { ffn } = blockOf(ctx.shape.config, layer);
  assert(ffn.kind === 'dense', 'the block has a dense FFN', { layer });
  return { unitId: `L${layer}/ffn`, hidden: ffn.hidden };
}

/** Dense layer: hidden[l+1] = mid[l] + FFN(normed[l]). */
export function ffnForward(ctx: StageContext, layer: number): readonly Step[] {
  const { act } = ctx;
  const ffn = denseFfn(ctx, layer);
  const memory = memoryForward(ctx, layer);
  if (isWhole(act.tensor)) return [{ calls: [...residualFfnForward(ctx, layer, ffn), ...memory] }];
  const base = act.layer(layer).mid_TD;
  return [
    { calls: partialFfnForward(ctx, layer, ffn) },
    ...sumOver(ctx, { of: act.sums.ffn, base, out: act.hidden(layer + 1) }),
    { calls: memory },
  ];
}

/** Dense layer: dHidden → dNormed; `attentionBackward` comes next. */
export function ffnBackward(ctx: StageContext, layer: number): readonly Step[] {
  const { act } = ctx;
  const ffn = denseFfn(ctx, layer);
  const memory = memoryBackward(ctx, layer);
  if (isWhole(act.tensor))
    return [{ calls: [...memory, ...residualFfnBackward(ctx, layer, { ...ffn, accumulate: false })] }];
  const { sums, dNormed_TD } = act.gradients;
  return [
    { calls: [...memory, ...partialFfnBackward(ctx, layer, ffn)] },
    ...sumOver(ctx, { of: sums.ffn, out: dNormed_TD }),
  ];
}
