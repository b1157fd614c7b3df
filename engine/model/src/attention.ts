import type { AttentionForwardCall, Floats, KernelCall, Rows } from '@troupe/kernel-set';
import { blockOf, qkvWidths, type Mixer } from '@troupe/spec';
import type { DeviceBatch } from './batch.ts';
import { normBackward, normForward, qkNormBackward, qkNormForward, rowsOf, type QkSegment } from './norms.ts';
import { gradientsOf, type StageContext } from './stage-context.ts';

/** Queries, keys and values of the rows, wherever the query/key norm put them. */
interface Operands {
  readonly q: Rows;
  readonly k: Rows;
  readonly v: Rows;
}

const mixerOf = (ctx: StageContext, layer: number): Mixer => blockOf(ctx.shape.config, layer).mixer;

/** `qk` is [T, q + k] when there is a query/key norm, else queries and keys lie in `qkv` [T, q + k + v]. */
function operands(mixer: Mixer, qkv: Floats, qk: Floats | null): Operands {
  const widths = qkvWidths(mixer);
  const [data, stride] = qk === null ? [qkv, widths.all] : [qk, widths.q + widths.k];
  return {
    q: { data, offset: 0, stride },
    k: { data, offset: widths.q, stride },
    v: { data: qkv, offset: widths.q + widths.k, stride: widths.all },
  };
}

function qkSegments(ctx: StageContext, layer: number): readonly [QkSegment, QkSegment] | null {
  const mixer = mixerOf(ctx, layer);
  const { qkv_TW, qk, qStats, kStats } = ctx.act.layer(layer);
  if (qk === null) return null;
  const widths = qkvWidths(mixer);
  const raw = operands(mixer, qkv_TW, null);
  const normed = operands(mixer, qkv_TW, qk);
  const perHead = mixer.qkNorm === 'head';
  return [
    {
      unitId: `L${layer}/q-norm`,
      groups: perHead ? mixer.heads : 1,
      dim: perHead ? mixer.headDim : widths.q,
      stats: qStats,
      raw: raw.q,
      normed: normed.q,
    },
    {
      unitId: `L${layer}/k-norm`,
      groups: perHead ? mixer.kvHeads : 1,
      dim: perHead ? mixer.headDim : widths.k,
      stats: kStats,
      raw: raw.k,
      normed: normed.k,
    },
  ];
}

/** Queries and keys lie side by side, so one call turns the heads of both. */
function rope(ctx: StageContext, { heads, kvHeads, headDim }: Mixer, x: Rows, inverse: boolean): KernelCall {
  return {
    op: 'rope',
    rows: ctx.act.tokens,
    seqLen: ctx.shape.config.seqLen,
    heads: heads + kvHeads,
    headDim,
    x,
    ...ctx.rope,
    inverse,
  };
}

type AttentionCommon = Omit<AttentionForwardCall, 'op'>;

function attentionCommon(ctx: StageContext, layer: number, batch: DeviceBatch): AttentionCommon {
  const { config, sequences } = ctx.shape;
  const mixer = mixerOf(ctx, layer);
  const { heads, kvHeads, headDim } = mixer;
  const { qkv_TW, qk, attention_TQ, lse_TH } = ctx.act.layer(layer);
  return {
    batch: sequences,
    seqLen: config.seqLen,
    heads,
    kvHeads,
    headDim,
    scale: 1 / Math.sqrt(headDim),
    ...operands(mixer, qkv_TW, qk),
    firstSeen_T: batch.firstSeen_T,
    out: { data: attention_TQ },
    lse_TH,
  };
}

/**
 * hidden[l] → norm → queries, keys, values → (query/key norm) → rope → attention → projection + residual = mid[l];
 * then the second norm: normed[l], which the FFN or the gate reads.
 */
export function attentionForward(ctx: StageContext, layer: number, batch: DeviceBatch): KernelCall[] {
  const { config } = ctx.shape;
  const { act, weights } = ctx;
  const own = act.layer(layer);
  const hidden = act.hidden(layer);
  const mixer = mixerOf(ctx, layer);
  const widths = qkvWidths(mixer);
  const segments = qkSegments(ctx, layer);
  return [
    normForward(ctx, `L${layer}/norm1`, hidden, own.normed1_TD, own.stats1),
    {
      op: 'linear.forward',
      rows: act.tokens,
      inDim: config.dModel,
      outDim: widths.all,
      x: rowsOf(own.normed1_TD),
      precision: act.precision,
      weight: weights.operand(`L${layer}/qkv`),
      out: { data: own.qkv_TW },
    },
    ...(segments ?? []).map((segment) => qkNormForward(ctx, segment)),
    rope(ctx, mixer, operands(mixer, own.qkv_TW, own.qk).q, false),
    { op: 'attention.forward', ...attentionCommon(ctx, layer, batch) },
    {
      op: 'linear.forward',
      rows: act.tokens,
      inDim: widths.q,
      outDim: config.dModel,
      x: { data: own.attention_TQ },
      precision: act.precision,
      weight: weights.operand(`L${layer}/out`),
      out: { data: own.mid_TD },
      residual: { data: hidden },
    },
    normForward(ctx, `L${layer}/norm2`, own.mid_TD, own.normed_TD, own.stats2),
  ];
}

/**
 * dNormed[l] and dHidden (gradient of hidden[l+1], which is also that of the residual) → dHidden of hidden[l].
 */
export function attentionBackward(ctx: StageContext, layer: number, batch: DeviceBatch): KernelCall[] {
  const { config } = ctx.shape;
  const { act, weights } = ctx;
  const sums = gradientsOf(ctx);
  const own = act.layer(layer);
  const { dHidden_TD, dNormed_TD, dAttention_TQ, dQkv_TW, dQk } = act.gradients;
  const mixer = mixerOf(ctx, layer);
  const widths = qkvWidths(mixer);
  const segments = qkSegments(ctx, layer);
  const gradients = operands(mixer, dQkv_TW, dQk);
  const projected = operands(mixer, dQkv_TW, null);
  const out = {
    rows: act.tokens,
    inDim: widths.q,
    outDim: config.dModel,
    dOut: { data: dHidden_TD },
    precision: act.precision,
  };
  const qkv = {
    rows: act.tokens,
    inDim: config.dModel,
    outDim: widths.all,
    dOut: { data: dQkv_TW },
    precision: act.precision,
  };
  const { grainStarts } = act;
  return [
    normBackward(ctx, `L${layer}/norm2`, {
      x: own.mid_TD,
      stats: own.stats2,
      dOut: dNormed_TD,
      dx: dHidden_TD,
      accumulate: true,
    }),
    {
      op: 'linear.backward.weight',
      ...out,
      x: { data: own.attention_TQ },
      grainStarts,
      weightSum: sums.view(`L${layer}/out`),
    },
    {
      op: 'linear.backward.input',
      ...out,
      weight: weights.operand(`L${layer}/out`),
      dx: { data: dAttention_TQ },
    },
    {
      op: 'attention.backward',
      ...attentionCommon(ctx, layer, batch),
      dOut: { data: dAttention_TQ },
      dq: gradients.q,
      dk: gradients.k,
      dv: gradients.v,
    },
    rope(ctx, mixer, gradients.q, true),
    ...(segments === null
      ? []
      : [
          qkNormBackward(ctx, segments[0], gradients.q, projected.q),
          qkNormBackward(ctx, segments[1], gradients.k, projected.k),
        ]),
    {
      op: 'linear.backward.weight',
      ...qkv,
      x: rowsOf(own.normed1_TD),
      grainStarts,
      weightSum: sums.view(`L${layer}/qkv`),
    },
    {
      op: 'linear.backward.input',
      ...qkv,
      weight: weights.operand(`L${layer}/qkv`),
      dx: { data: dNormed_TD },
    },
    normBackward(ctx, `L${layer}/norm1`, {
      x: act.hidden(layer),
      stats: own.stats1,
      dOut: dNormed_TD,
      dx: dHidden_TD,
      accumulate: true,
    }),
  ];
}
