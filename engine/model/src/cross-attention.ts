import { assert } from '@troupe/core';
import type { AttentionForwardCall, Floats, HalfRows, KernelCall, Rows } from '@troupe/kernel-set';
import { blockOf, crossMixerOf, eachSegment, encoderLayers, segmentId, type Segment } from '@troupe/spec';
import type { DeviceBatch } from './batch.ts';
import { attendMemory } from './cached-attention.ts';
import type { CrossActivations, CrossGradients, CrossSegment } from './cross-activations.ts';
import type { KeyValueCache } from './key-value-cache.ts';
import type { MemoryRows } from './memory-rows.ts';
import { memoryOf } from './memory-norm.ts';
import { normBackward, normForward, rowsOf } from './norms.ts';
import { sumsOver } from './partial-sums.ts';
import { matrixGradientsOf, type StageContext } from './stage-context.ts';
import { joined, type Step } from './step.ts';
import { partialOf } from './sum-buffers.ts';
import { headsOfSegment, isWhole, type SegmentHeads } from './tensor-share.ts';

/** How one segment of a block's heads reads the memory. */
interface CrossPart {
  readonly layer: number;
  readonly held: number;
  readonly segment: Segment;
  readonly heads: SegmentHeads;
  readonly scoreScale: number;
  readonly own: CrossSegment;
}

function partsOf(ctx: StageContext, layer: number, { segments }: CrossActivations): readonly CrossPart[] {
  const { cross } = blockOf(ctx.shape.config, layer);
  assert(cross !== null, 'the block reads a memory', { layer });
  const { tensor } = ctx.act;
  const heads = headsOfSegment(cross, tensor.segments.count);
  return segments.map((own, held) => ({
    layer,
    held,
    segment: { count: tensor.segments.count, index: tensor.segments.from + held },
    heads,
    scoreScale: cross.scoreScale,
    own,
  }));
}

const unitOf = ({ layer, segment }: Pick<CrossPart, 'layer' | 'segment'>, name: 'q' | 'kv' | 'out'): string =>
  segmentId(`L${layer}/cross-${name}`, segment);

/** Keys and values lie side by side. */
function keysAndValues({ widths }: SegmentHeads, data: Floats): { readonly k: Rows; readonly v: Rows } {
  const stride = widths.k + widths.v;
  return { k: { data, offset: 0, stride }, v: { data, offset: widths.k, stride } };
}

function attentionOf(
  ctx: StageContext,
  { heads, scoreScale, own }: CrossPart,
  batch: DeviceBatch,
): Omit<AttentionForwardCall, 'op'> {
  const { config, sequences } = ctx.shape;
  const { cross } = batch;
  assert(cross !== undefined || ctx.cache !== undefined, 'a batch says what tokens see of an encoder');
  return {
    batch: sequences,
    seqLen: config.seqLen,
    ...(ctx.cache === undefined ? { keyLen: memoryOf(ctx).seqLen } : {}),
    heads: heads.heads,
    kvHeads: heads.kvHeads,
    headDim: heads.headDim,
    scale: scoreScale,
    q: { data: own.q_TQ },
    ...keysAndValues(heads, own.kv_SW),
    ...cross,
    out: { data: own.attention_TQ },
    lse_TH: own.lse_TH,
  };
}

/** Queries of the block's own rows, keys and values of the memory; with a cache these are made already. */
function projectForward(ctx: StageContext, part: CrossPart, { normed_TD }: CrossActivations): KernelCall[] {
  const { act, weights } = ctx;
  const queries: KernelCall = {
    op: 'linear.forward',
    inDim: ctx.shape.config.dModel,
    precision: act.precision,
    rows: act.tokens,
    outDim: part.heads.widths.q,
    x: rowsOf(normed_TD),
    weight: weights.operand(unitOf(part, 'q')),
    out: { data: part.own.q_TQ },
  };
  if (ctx.cache !== undefined) return [queries];
  const { rows_SD, tokens } = memoryOf(ctx);
  return [queries, memoryProduct(ctx, part, { x: rowsOf(rows_SD), rows: tokens, out: part.own.kv_SW })];
}

/** Rows of the memory → keys and values of a block of the decoder. */
function memoryProduct(
  { act, weights, shape }: StageContext,
  part: Pick<CrossPart, 'layer' | 'segment' | 'heads'>,
  { x, rows, out }: { readonly x: Rows | HalfRows; readonly rows: number; readonly out: Floats },
): KernelCall {
  const { widths } = part.heads;
  return {
    op: 'linear.forward',
    inDim: shape.config.dModel,
    precision: act.precision,
    rows,
    outDim: widths.k + widths.v,
    x,
    weight: weights.operand(unitOf(part, 'kv')),
    out: { data: out },
  };
}

/**
 * Keys and values that every block of the decoder reads of one text's memory, into its slot of a cache.
 *
 * @param ctx - of the encoder, whose pass over the text has run
 * @param from - first row of the memory, and how many there are
 */
export function keepMemory(
  ctx: StageContext,
  cache: KeyValueCache,
  slot: number,
  from: { readonly row: number; readonly rows: number },
): KernelCall[] {
  const { config } = ctx.shape;
  const { segments } = ctx.act.tensor;
  const { rows_SD } = memoryOf(ctx);
  const decoder = Array.from({ length: config.layers }, (_, layer) => layer).slice(encoderLayers(config));
  return decoder.flatMap((layer) =>
    eachSegment(segments).map((segment, held) => {
      const { data, stride } = cache.memory(layer, held);
      const first = slot * cache.sourceLength * stride;
      return memoryProduct(
        ctx,
        { layer, segment, heads: headsOfSegment(crossMixerOf(config), segments.count) },
        {
          x: { ...rowsOf(rows_SD), offset: from.row * config.dModel },
          rows: from.rows,
          out: data.subarray(first, first + from.rows * stride),
        },
      );
    }),
  );
}

/** What attention gives → rows of the model; with `residual` that is what the chain starts from. */
function outForward(
  ctx: StageContext,
  part: CrossPart,
  io: { readonly out: Floats; readonly residual?: Floats },
): KernelCall {
  return {
    op: 'linear.forward',
    rows: ctx.act.tokens,
    inDim: part.heads.widths.out,
    outDim: ctx.shape.config.dModel,
    x: { data: part.own.attention_TQ },
    precision: ctx.act.precision,
    weight: ctx.weights.operand(unitOf(part, 'out')),
    out: { data: io.out },
    ...(io.residual === undefined ? {} : { residual: { data: io.residual } }),
  };
}

/** before → norm → queries; the memory → keys and values; attention → projection + before = mid[l]. Nothing in a block that reads no memory. */
export function crossForward(ctx: StageContext, layer: number, batch: DeviceBatch): readonly Step[] {
  const { act } = ctx;
  const { cross, mid_TD } = act.layer(layer);
  if (cross === null) return [];
  const { before_TD, normed_TD, stats } = cross;
  const whole = isWhole(act.tensor);
  const parts = partsOf(ctx, layer, cross);
  return joined([
    {
      calls: [
        normForward(ctx, `L${layer}/norm-cross`, before_TD, normed_TD, stats),
        ...parts.flatMap((part): KernelCall[] => [
          ...projectForward(ctx, part, cross),
          ...attendMemory(ctx, attentionOf(ctx, part, batch), part),
          outForward(
            ctx,
            part,
            whole ? { out: mid_TD, residual: before_TD } : { out: partialOf(act.sums.cross, part.held) },
          ),
        ]),
      ],
    },
    ...(whole ? [] : sumsOver(ctx, [{ of: act.sums.cross, base: before_TD, out: mid_TD }])),
  ]);
}

/** dHidden → the output projection's gradient, and through attention. */
function throughAttention(
  ctx: StageContext,
  part: CrossPart,
  batch: DeviceBatch,
  { dQ_TQ, dKv_SW }: CrossGradients,
): KernelCall[] {
  const { act, weights } = ctx;
  const { dHidden_TD, dAttention_TQ } = act.gradients;
  const out = {
    rows: act.tokens,
    inDim: part.heads.widths.out,
    outDim: ctx.shape.config.dModel,
    dOut: { data: dHidden_TD },
    precision: act.precision,
  };
  const { k: dk, v: dv } = keysAndValues(part.heads, dKv_SW);
  return [
    {
      op: 'linear.backward.weight',
      ...out,
      x: { data: part.own.attention_TQ },
      grainStarts: act.grainStarts,
      weightSum: matrixGradientsOf(ctx).view(unitOf(part, 'out')),
    },
    {
      op: 'linear.backward.input',
      ...out,
      weight: weights.operand(unitOf(part, 'out')),
      dx: { data: dAttention_TQ },
    },
    {
      op: 'attention.backward',
      ...attentionOf(ctx, part, batch),
      dOut: { data: dAttention_TQ },
      dq: { data: dQ_TQ },
      dk,
      dv,
    },
  ];
}

interface ProductBackward {
  readonly unitId: string;
  readonly rows: number;
  readonly outDim: number;
  readonly dOut: Floats;
  readonly x: Rows | ReturnType<typeof rowsOf>;
  readonly grainStarts: MemoryRows['grainStarts'];
  readonly dx: Floats;
  readonly accumulate: boolean;
}

/** Gradients of a projection, and of what it reads. */
function productBackward(ctx: StageContext, each: ProductBackward): KernelCall[] {
  const product = {
    rows: each.rows,
    inDim: ctx.shape.config.dModel,
    outDim: each.outDim,
    dOut: { data: each.dOut },
    precision: ctx.act.precision,
  };
  return [
    {
      op: 'linear.backward.weight',
      ...product,
      x: each.x,
      grainStarts: each.grainStarts,
      weightSum: matrixGradientsOf(ctx).view(each.unitId),
    },
    {
      op: 'linear.backward.input',
      ...product,
      weight: ctx.weights.operand(each.unitId),
      dx: { data: each.dx },
      accumulate: each.accumulate,
    },
  ];
}

/** dQueries → dNormed, and dKeys, dValues → the gradient of the memory, or the parts of both that this segment has. */
function projectBackward(
  ctx: StageContext,
  part: CrossPart,
  { normed_TD }: CrossActivations,
  { dQ_TQ, dKv_SW, sum, memorySum }: CrossGradients,
): KernelCall[] {
  const { act } = ctx;
  const { rows_SD, tokens, grainStarts } = memoryOf(ctx);
  const { widths } = part.heads;
  const whole = isWhole(act.tensor);
  return [
    ...productBackward(ctx, {
      unitId: unitOf(part, 'q'),
      rows: act.tokens,
      outDim: widths.q,
      dOut: dQ_TQ,
      x: rowsOf(normed_TD),
      grainStarts: act.grainStarts,
      dx: whole ? act.gradients.dNormed_TD : partialOf(sum, part.held),
      accumulate: false,
    }),
    ...productBackward(ctx, {
      unitId: unitOf(part, 'kv'),
      rows: tokens,
      outDim: widths.k + widths.v,
      dOut: dKv_SW,
      x: rowsOf(rows_SD),
      grainStarts,
      dx: whole ? memoryGradient(ctx) : partialOf(memorySum, part.held),
      accumulate: whole && !isFirst(ctx, part.layer),
    }),
  ];
}

function memoryGradient(ctx: StageContext): Floats {
  const { gradient_SD } = memoryOf(ctx);
  assert(gradient_SD !== null, 'a backward pass has room for the gradient of the memory');
  return gradient_SD;
}

/** The last block of the model begins the chain of the memory's gradient. */
const isFirst = (ctx: StageContext, layer: number): boolean => layer === ctx.shape.config.layers - 1;

/** dHidden, the gradient of mid[l] → that of `before` in its place, and onto the memory's. */
export function crossBackward(ctx: StageContext, layer: number, batch: DeviceBatch): readonly Step[] {
  const { act } = ctx;
  const { cross } = act.layer(layer);
  if (cross === null) return [];
  const { dHidden_TD, dNormed_TD, cross: gradients } = act.gradients;
  assert(gradients !== null, 'a block that reads a memory has room for its gradients', { layer });
  const { before_TD, stats } = cross;
  const parts = partsOf(ctx, layer, cross);
  const memory = isWhole(act.tensor) ? null : memoryGradient(ctx);
  return joined([
    {
      calls: parts.flatMap((part) => [
        ...throughAttention(ctx, part, batch, gradients),
        ...projectBackward(ctx, part, cross, gradients),
      ]),
    },
    ...(memory === null
      ? []
      : sumsOver(ctx, [
          { of: gradients.sum, out: dNormed_TD },
          { of: gradients.memorySum, out: memory, ...(isFirst(ctx, layer) ? {} : { base: memory }) },
        ])),
    {
      calls: [
        normBackward(ctx, `L${layer}/norm-cross`, {
          x: before_TD,
          stats,
          dOut: dNormed_TD,
          dx: dHidden_TD,
          accumulate: true,
        }),
      ],
    },
  ]);
}
