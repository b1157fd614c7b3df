import type { Floats, KernelCall } from '@troupe/kernel-set';
import { segmentId } from '@troupe/spec';
import {
  attentionCommon,
  attentionSegments,
  biasGradient,
  gradientOperands,
  projectBackward,
  projectForward,
  rope,
  type AttentionSegment,
} from './attention-segment.ts';
import type { DeviceBatch } from './batch.ts';
import { attend } from './cached-attention.ts';
import { crossBackward, crossForward } from './cross-attention.ts';
import { normBackward, normForward } from './norms.ts';
import { sumOver } from './partial-sums.ts';
import { qkNormsBackward, qkNormsForward } from './qk-norms.ts';
import { matrixGradientsOf, type StageContext } from './stage-context.ts';
import { joined, type Step } from './step.ts';
import { partialOf } from './sum-buffers.ts';
import { isWhole } from './tensor-share.ts';

/** The product of attention's outputs with the output projection; with `residual` that is what its chain starts from. */
function outProjection(
  ctx: StageContext,
  { layer, segment, heads, own }: AttentionSegment,
  io: { readonly out: Floats; readonly residual?: Floats },
): KernelCall {
  return {
    op: 'linear.forward',
    rows: ctx.act.tokens,
    inDim: heads.widths.out,
    outDim: ctx.shape.config.dModel,
    x: { data: own.attention_TQ },
    precision: ctx.act.precision,
    weight: ctx.weights.operand(segmentId(`L${layer}/out`, segment)),
    out: { data: io.out },
    ...(io.residual === undefined ? {} : { residual: { data: io.residual } }),
  };
}

/**
 * hidden[l] → norm → queries, keys, values → (query/key norm) → (rope) → attention → projection + residual (→ the same of the memory) = mid[l];
 * then the second norm: normed[l], which the FFN or the gate reads.
 */
export function attentionForward(ctx: StageContext, layer: number, batch: DeviceBatch): readonly Step[] {
  const { act } = ctx;
  const own = act.layer(layer);
  const hidden = act.hidden(layer);
  const segments = attentionSegments(ctx, layer);
  const whole = isWhole(act.tensor);
  const sum = act.sums.attention;
  // What reads the memory comes between attention and FFN.
  const out = own.cross === null ? own.mid_TD : own.cross.before_TD;
  return joined([
    {
      calls: [
        normForward(ctx, `L${layer}/norm1`, hidden, own.normed1_TD, own.stats1),
        ...segments.flatMap((segment) => projectForward(ctx, segment)),
      ],
    },
    ...qkNormsForward(ctx, segments),
    {
      calls: segments.flatMap((segment) => [
        ...attend(ctx, segment, batch),
        outProjection(
          ctx,
          segment,
          whole ? { out, residual: hidden } : { out: partialOf(sum, segment.held) },
        ),
      ]),
    },
    ...(whole ? [] : sumOver(ctx, { of: sum, base: hidden, out })),
    ...crossForward(ctx, layer, batch),
    { calls: [normForward(ctx, `L${layer}/norm2`, own.mid_TD, own.normed_TD, own.stats2)] },
  ]);
}

/** dHidden → the output projection's gradient, and through attention and rope to what the query/key norm gave. */
function throughAttention(ctx: StageContext, segment: AttentionSegment, batch: DeviceBatch): KernelCall[] {
  const { act } = ctx;
  const { dHidden_TD, dAttention_TQ } = act.gradients;
  const unitId = segmentId(`L${segment.layer}/out`, segment.segment);
  const gradients = gradientOperands(ctx, segment);
  const out = {
    rows: act.tokens,
    inDim: segment.heads.widths.out,
    outDim: ctx.shape.config.dModel,
    dOut: { data: dHidden_TD },
    precision: act.precision,
  };
  return [
    {
      op: 'linear.backward.weight',
      ...out,
      x: { data: segment.own.attention_TQ },
      grainStarts: act.grainStarts,
      weightSum: matrixGradientsOf(ctx).view(unitId),
    },
    {
      op: 'linear.backward.input',
      ...out,
      weight: ctx.weights.operand(unitId),
      dx: { data: dAttention_TQ },
    },
    {
      op: 'attention.backward',
      ...attentionCommon(ctx, segment, batch),
      dOut: { data: dAttention_TQ },
      dq: gradients.q,
      dk: gradients.k,
      dv: gradients.v,
      ...biasGradient(ctx, segment),
    },
    ...rope(ctx, segment, gradients.q, true),
  ];
}

/**
 * Out of the heads of each segment and into what its projection read. A norm over the full width needs sums of all segments before any of
 * them can go on; otherwise each is finished before the next begins.
 */
function segmentsBackward(ctx: StageContext, layer: number, batch: DeviceBatch): Step[] {
  const { act } = ctx;
  const { gradients } = act;
  const segments = attentionSegments(ctx, layer);
  const dxOf = ({ held }: AttentionSegment): Floats =>
    isWhole(act.tensor) ? gradients.dNormed_TD : partialOf(gradients.sums.attention, held);
  const through = (each: AttentionSegment): Step => ({ calls: throughAttention(ctx, each, batch) });
  const project = (each: AttentionSegment): Step => ({ calls: projectBackward(ctx, each, dxOf(each)) });
  if (act.normSums === null)
    return segments.flatMap((each) => [through(each), ...qkNormsBackward(ctx, [each]), project(each)]);
  return [...segments.map(through), ...qkNormsBackward(ctx, segments), ...segments.map(project)];
}

/**
 * dNormed[l] and dHidden (gradient of hidden[l+1], which is also that of the residual) → dHidden of hidden[l].
 */
export function attentionBackward(ctx: StageContext, layer: number, batch: DeviceBatch): readonly Step[] {
  const { act } = ctx;
  const own = act.layer(layer);
  const { dHidden_TD, dNormed_TD, sums } = act.gradients;
  const through = (norm: string, x: Floats, stats: Floats): Step => ({
    calls: [
      normBackward(ctx, `L${layer}/${norm}`, {
        x,
        stats,
        dOut: dNormed_TD,
        dx: dHidden_TD,
        accumulate: true,
      }),
    ],
  });
  return joined([
    through('norm2', own.mid_TD, own.stats2),
    ...crossBackward(ctx, layer, batch),
    ...segmentsBackward(ctx, layer, batch),
    ...(isWhole(act.tensor) ? [] : sumOver(ctx, { of: sums.attention, out: dNormed_TD })),
    through('norm1', act.hidden(layer), own.stats1),
  ]);
}
