import { assert } from '@troupe/core';
import type { Floats, GradientTarget, KernelCall } from '@troupe/kernel-set';
import { eachSegment, segmentId, type Segment } from '@troupe/spec';
import type { DeviceBatch } from './batch.ts';
import { headPartSums, vocabOf, type HeadActivations } from './head-activations.ts';
import { normBackward, normForward, rowsOf } from './norms.ts';
import { sumOver } from './partial-sums.ts';
import { gradientsOf, type StageContext } from './stage-context.ts';
import { joined, type Step } from './step.ts';
import { partialOf } from './sum-buffers.ts';

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

/** Where sums of the loss go. Smoothed, the gradients are of another loss than the one that is reported. */
function lossSums(ctx: StageContext, mode: HeadMode) {
  const { smoothing = 0 } = ctx.shape;
  const { lossSum } = ctx.statistics;
  if (!('gradScale' in mode) || smoothing === 0) return { lossSum };
  return { lossSum: ctx.act.smoothedSum, nllSum: lossSum, smoothing };
}

function wholeHead(ctx: StageContext, batch: DeviceBatch, mode: HeadMode): KernelCall {
  const { act } = ctx;
  const { dModel, vocab } = ctx.shape.config;
  const unitId = headUnit(ctx);
  const training: { gradScale: number; dx_TD: Floats; headSum: GradientTarget } | null =
    'gradScale' in mode
      ? { gradScale: mode.gradScale, dx_TD: act.gradients.dNormed_TD, headSum: gradientsOf(ctx).view(unitId) }
      : null;
  return {
    op: 'head.loss',
    tokens: act.tokens,
    dim: dModel,
    vocab,
    x_TD: act.finalNormed_TD,
    head_VD: ctx.weights.operand(unitId),
    targets_T: batch.targets_T,
    grainStarts: act.grainStarts,
    loss_T: act.loss_T,
    ...lossSums(ctx, mode),
    precision: act.precision,
    ...training,
  };
}

/** What all calls of a segment of the head have in common. */
function segmentCommon(ctx: StageContext, batch: DeviceBatch, segment: Segment) {
  const { act } = ctx;
  const { dModel, vocab } = ctx.shape.config;
  return {
    tokens: act.tokens,
    dim: dModel,
    ...vocabOf(segment, vocab),
    x_TD: act.finalNormed_TD,
    head_VD: ctx.weights.operand(segmentId(headUnit(ctx), segment)),
    targets_T: batch.targets_T,
    grainStarts: act.grainStarts,
    precision: act.precision,
  };
}

/** Every device knows all losses; which of them counts them is its owner's matter. */
function joinHead(
  ctx: StageContext,
  batch: DeviceBatch,
  mode: HeadMode,
  { lse_T, parts }: HeadActivations,
): KernelCall {
  const { act, shape } = ctx;
  const { count } = act.tensor.segments;
  return {
    op: 'head.join',
    tokens: act.tokens,
    parts: parts.map((part, index) => ({
      ...headPartSums(part, act.tokens),
      ...vocabOf({ count, index }, shape.config.vocab),
    })),
    targets_T: batch.targets_T,
    grainStarts: act.grainStarts,
    lse_T,
    loss_T: act.loss_T,
    ...lossSums(ctx, mode),
  };
}

/** Maxima and sums of this device's words → those of all → gradients of this device's words. */
function dividedHead(ctx: StageContext, batch: DeviceBatch, mode: HeadMode, own: HeadActivations): Step[] {
  const { act } = ctx;
  const segments = eachSegment(act.tensor.segments);
  const partials = segments.map((segment, held): KernelCall => {
    const part = own.parts[held];
    assert(part !== undefined, 'every segment of the head has room for its sums', { held });
    return {
      op: 'head.partial',
      ...segmentCommon(ctx, batch, segment),
      ...headPartSums(part, act.tokens),
    };
  });
  const join = (parts: readonly Floats[]): KernelCall[] => [joinHead(ctx, batch, mode, { ...own, parts })];
  const joining: Step =
    act.tensor.peers === 1
      ? { calls: join(own.parts) }
      : { exchange: { shares: own.parts, next: (sharesOf) => join(sharesOf.flat()) } };
  if (!('gradScale' in mode)) return [{ calls: partials }, joining];
  const { dNormed_TD, sums } = act.gradients;
  const { smoothing = 0 } = ctx.shape;
  const finish = segments.map((segment, held): KernelCall => ({
    op: 'head.finish',
    ...segmentCommon(ctx, batch, segment),
    lse_T: own.lse_T,
    gradScale: mode.gradScale,
    ...(smoothing === 0 ? {} : { smoothing, fullVocab: ctx.shape.config.vocab }),
    dx_TD: partialOf(sums.attention, held),
    headSum: gradientsOf(ctx).view(segmentId(headUnit(ctx), segment)),
  }));
  return [
    { calls: partials },
    joining,
    { calls: finish },
    ...sumOver(ctx, { of: sums.attention, out: dNormed_TD }),
  ];
}

/** Last norm, head and cross entropy; with `gradScale` also the head's backward pass, gradient in dNormed. */
export function headForward(ctx: StageContext, batch: DeviceBatch, mode: HeadMode): readonly Step[] {
  const { headParts } = ctx.act;
  return joined([
    { calls: finalNormForward(ctx) },
    ...(headParts === null
      ? [{ calls: [wholeHead(ctx, batch, mode)] }]
      : dividedHead(ctx, batch, mode, headParts)),
  ]);
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
): readonly Step[] {
  const { dModel, vocab: all } = ctx.shape.config;
  const { device, tensor, precision, finalNormed_TD } = ctx.act;
  const size = slice.rows * all;
  assert(slice.out.length >= size, 'logits are [rows, V]', { found: slice.out.length });
  const isAlone = tensor.peers === 1;
  const out = slice.out.subarray(0, size);
  const own = isAlone ? out : device.floats(size);
  const products = eachSegment(tensor.segments).map((segment): KernelCall => {
    const { firstVocab, vocab } = vocabOf(segment, all);
    return {
      op: 'linear.forward',
      rows: slice.rows,
      inDim: dModel,
      outDim: vocab,
      x: { ...rowsOf(finalNormed_TD), offset: slice.firstRow * dModel },
      precision,
      weight: ctx.weights.operand(segmentId(headUnit(ctx), segment)),
      out: { data: own, offset: firstVocab, stride: all },
    };
  });
  if (isAlone) return [{ calls: products }];
  // Words of other devices are negative zeros, which leave their logits as they are.
  return [
    { calls: [{ op: 'fill', out: own, kind: 'constant', scale: -0, key: [0, 0], firstIndex: 0 }] },
    { calls: products },
    {
      exchange: {
        shares: [own],
        next: (sharesOf) => [{ op: 'partials.add', parts: sharesOf.flat(), out }],
      },
    },
  ];
}
