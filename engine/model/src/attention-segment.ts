import { assert } from '@troupe/core';
import type {
  AttentionBackwardCall,
  AttentionForwardCall,
  Floats,
  KernelCall,
  RopeCall,
  Rows,
} from '@troupe/kernel-set';
import {
  blockOf,
  builtBlock,
  kvHeadsOfSegment,
  kvUnitId,
  positionTableId,
  segmentId,
  stackOf,
  streamOf,
  type Mixer,
  type Segment,
} from '@troupe/spec';
import type { ProjectionGradients, SegmentActivations } from './layer-activations.ts';
import { rowsOf } from './norms.ts';
import type { DeviceBatch } from './batch.ts';
import { gradientsOf, matrixGradientsOf, type StageContext } from './stage-context.ts';
import { headsOfSegment, type SegmentHeads } from './tensor-share.ts';

/** Queries, keys and values of the rows, wherever the query/key norm put them. */
export interface Operands {
  readonly q: Rows;
  readonly k: Rows;
  readonly v: Rows;
}

/** One segment of a layer's attention: some of its heads. */
export interface AttentionSegment {
  readonly layer: number;
  readonly segment: Segment;
  /** Among the segments of this device. */
  readonly held: number;
  readonly mixer: Mixer;
  readonly heads: SegmentHeads;
  readonly own: SegmentActivations;
}

/** The segments of a layer that this device computes, in order. */
export function attentionSegments(ctx: StageContext, layer: number): readonly AttentionSegment[] {
  const { mixer } = builtBlock(blockOf(ctx.shape.config, layer));
  const { segments } = ctx.act.tensor;
  return ctx.act.layer(layer).segments.map((own, held) => ({
    layer,
    segment: { count: segments.count, index: segments.from + held },
    held,
    mixer,
    heads: headsOfSegment(mixer, segments.count),
    own,
  }));
}

/** `qk` is [T, q + k] when there is a query/key norm, else queries and keys lie in `qkv` [T, q + k + v]. */
export function operands({ widths }: SegmentHeads, qkv: Floats, qk: Floats | null): Operands {
  const [data, stride] = qk === null ? [qkv, widths.all] : [qk, widths.q + widths.k];
  return {
    q: { data, offset: 0, stride },
    k: { data, offset: widths.q, stride },
    v: { data: qkv, offset: widths.q + widths.k, stride: widths.all },
  };
}

/** Room for the gradients of a segment's queries, keys and values; segments that are computed one after the other have it together. */
function projectionGradients(ctx: StageContext, { held }: AttentionSegment): ProjectionGradients {
  const found = ctx.act.gradients.projections[held];
  assert(found !== undefined, 'every segment has room for the gradients of its projection', { held });
  return found;
}

/** Where attention's backward pass puts gradients: of queries and keys as its norm gave them. */
export function gradientOperands(ctx: StageContext, segment: AttentionSegment): Operands {
  const { dQkv_TW, dQk } = projectionGradients(ctx, segment);
  return operands(segment.heads, dQkv_TW, dQk);
}

/** The same before their norm. */
export const projectedGradients = (ctx: StageContext, segment: AttentionSegment): Operands =>
  operands(segment.heads, projectionGradients(ctx, segment).dQkv_TW, null);

/** Where one of query and key lies, and its norm: `groups` parts of `dim` in each row. */
export interface QkSegment {
  readonly side: 'query' | 'key';
  readonly unitId: string;
  readonly groups: number;
  readonly dim: number;
  /** Of the norm whose weights the segment has a part of. */
  readonly fullDim: number;
  readonly stats: Floats;
  readonly raw: Rows;
  readonly normed: Rows;
}

/** Norms of queries and keys; none without. */
export function qkSegments({ layer, segment, mixer, heads, own }: AttentionSegment): readonly QkSegment[] {
  const { qkv_TW, qk, qStats, kStats } = own;
  if (qk === null) return [];
  const { widths } = heads;
  const raw = operands(heads, qkv_TW, null);
  const normed = operands(heads, qkv_TW, qk);
  const perHead = mixer.qkNorm === 'head';
  const unit = (side: string): string => {
    const id = `L${layer}/${side}-norm`;
    return perHead ? id : segmentId(id, segment);
  };
  return [
    {
      side: 'query',
      fullDim: mixer.heads * mixer.headDim,
      unitId: unit('q'),
      groups: perHead ? heads.heads : 1,
      dim: perHead ? heads.headDim : widths.q,
      stats: qStats,
      raw: raw.q,
      normed: normed.q,
    },
    {
      side: 'key',
      fullDim: mixer.kvHeads * mixer.headDim,
      unitId: unit('k'),
      groups: perHead ? heads.kvHeads : 1,
      dim: perHead ? heads.headDim : widths.k,
      stats: kStats,
      raw: raw.k,
      normed: normed.k,
    },
  ];
}

/** Queries and keys lie side by side, so one call turns the heads of both; none where positions are not turned. */
export function rope(
  ctx: StageContext,
  { mixer, heads: { heads, kvHeads, headDim } }: AttentionSegment,
  x: Rows,
  inverse: boolean,
  part: Pick<RopeCall, 'rows' | 'firstPosition'> = { rows: ctx.act.tokens },
): KernelCall[] {
  if (mixer.positions.kind !== 'rotary') return [];
  const { cos_S2, sin_S2 } = ctx.positions;
  return [
    {
      op: 'rope',
      ...part,
      seqLen: ctx.shape.config.seqLen,
      heads: heads + kvHeads,
      headDim,
      x,
      cos_S2,
      sin_S2,
      inverse,
    },
  ];
}

/** The biases of a segment's heads; none where positions are told otherwise. */
function biasOf(
  ctx: StageContext,
  { layer, segment, mixer: { positions } }: AttentionSegment,
): Pick<AttentionForwardCall, 'bias'> {
  if (positions.kind !== 'relative') return {};
  const { config } = ctx.shape;
  const { buckets, bidirectional, maxDistance } = positions;
  const table_BH = ctx.weights.view(segmentId(positionTableId(config, streamOf(config, layer)), segment));
  return { bias: { table_BH, buckets, bidirectional, maxDistance } };
}

/** Where a layer's backward pass puts the gradient of its stream's biases: the last layer, whose pass is the first, begins the sum. */
export function biasGradient(
  ctx: StageContext,
  { layer, segment, mixer: { positions } }: AttentionSegment,
): Pick<AttentionBackwardCall, 'biasSum' | 'grainStarts'> {
  if (positions.kind !== 'relative') return {};
  const { config } = ctx.shape;
  const stream = streamOf(config, layer);
  const gradients = gradientsOf(ctx);
  const targets = layer === stackOf(config, stream).to - 1 ? gradients : gradients.more;
  return {
    biasSum: targets.view(segmentId(positionTableId(config, stream), segment)),
    grainStarts: ctx.act.grainStarts,
  };
}

export function attentionCommon(
  ctx: StageContext,
  of: AttentionSegment,
  batch: DeviceBatch,
): Omit<AttentionForwardCall, 'op'> {
  const { config, sequences } = ctx.shape;
  const { heads, own, mixer } = of;
  const { qkv_TW, qk, attention_TQ, lse_TH } = own;
  return {
    batch: sequences,
    seqLen: config.seqLen,
    heads: heads.heads,
    kvHeads: heads.kvHeads,
    headDim: heads.headDim,
    scale: mixer.scoreScale,
    ...biasOf(ctx, of),
    ...operands(heads, qkv_TW, qk),
    firstSeen_T: batch.firstSeen_T,
    ...(batch.endSeen_T === undefined ? {} : { endSeen_T: batch.endSeen_T }),
    out: { data: attention_TQ },
    lse_TH,
  };
}

/** A product of the fused projection: all of it, or queries and then keys and values where these are a unit of their own. */
interface Projection {
  readonly unitId: string;
  readonly width: number;
  readonly offset: number;
}

function projections({ layer, segment, mixer, heads }: AttentionSegment): readonly Projection[] {
  const { widths, sharesKv } = heads;
  const unitId = segmentId(`L${layer}/qkv`, segment);
  if (!sharesKv) return [{ unitId, width: widths.all, offset: 0 }];
  const head = kvHeadsOfSegment(segment, mixer.kvHeads).from;
  return [
    { unitId, width: widths.q, offset: 0 },
    { unitId: kvUnitId(layer, head), width: widths.k + widths.v, offset: widths.q },
  ];
}

const projected = ({ heads }: AttentionSegment, data: Floats, offset: number): Rows => ({
  data,
  offset,
  stride: heads.widths.all,
});

/** Normed rows → queries, keys and values. */
export function projectForward(ctx: StageContext, segment: AttentionSegment): KernelCall[] {
  const { act, weights } = ctx;
  return projections(segment).map(({ unitId, width, offset }) => ({
    op: 'linear.forward',
    rows: act.tokens,
    inDim: ctx.shape.config.dModel,
    outDim: width,
    x: rowsOf(act.layer(segment.layer).normed1_TD),
    precision: act.precision,
    weight: weights.operand(unitId),
    out: projected(segment, segment.own.qkv_TW, offset),
  }));
}

/** dQkv → the projection's gradients, and dx, which is one chain over queries, keys and values. */
export function projectBackward(ctx: StageContext, segment: AttentionSegment, dx: Floats): KernelCall[] {
  const { act, weights } = ctx;
  const { dQkv_TW } = projectionGradients(ctx, segment);
  const all = projections(segment).map((each) => ({
    ...each,
    product: {
      rows: act.tokens,
      inDim: ctx.shape.config.dModel,
      outDim: each.width,
      dOut: projected(segment, dQkv_TW, each.offset),
      precision: act.precision,
    },
  }));
  assert(all.length > 0, 'a segment has a projection', { layer: segment.layer });
  return [
    ...all.map(({ unitId, product }): KernelCall => ({
      op: 'linear.backward.weight',
      ...product,
      x: rowsOf(act.layer(segment.layer).normed1_TD),
      grainStarts: act.grainStarts,
      weightSum: matrixGradientsOf(ctx).view(unitId),
    })),
    ...all.map(({ unitId, product }, index): KernelCall => ({
      op: 'linear.backward.input',
      ...product,
      weight: weights.operand(unitId),
      dx: { data: dx },
      ...(index === 0 ? {} : { accumulate: true }),
    })),
  ];
}
