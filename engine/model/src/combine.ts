import type { Floats, KernelCall, RowsPart } from '@troupe/kernel-set';
import { choiceWidth } from '@troupe/spec';
import type { DeviceBatch } from './batch.ts';
import { dealtGrains } from './dealt-grains.ts';
import { returnedGradients, returnedRows, type ReturnedRows } from './dispatch.ts';
import { partialFfnBackward, residualFfnBackward, sharedFfn } from './ffn.ts';
import { routerBackward, type GateBackwardOptions } from './gate.ts';
import { memoryBackward, memoryForward } from './memory-norm.ts';
import { moeNormBackward, moeNormForward, normedSum } from './moe-norm.ts';
import { sumOver, sumsOver, type SegmentSum } from './partial-sums.ts';
import { chunksOf, type RowChunk } from './row-chunk.ts';
import { moeConfig, type StageContext } from './stage-context.ts';
import { joined, type Step } from './step.ts';
import type { SumBuffers } from './sum-buffers.ts';
import { isWhole } from './tensor-share.ts';

/** Where the rows of a rank are that have come back for a chunk. */
type RowsFrom = (chunk: RowChunk, rank: number) => ReturnedRows;

/** What combining the rows of a chunk reads of it: those of one segment of the experts from all ranks. */
function rowsOfSegment(chunk: RowChunk, from: RowsFrom, held: number) {
  const { act, moe, tokens, topK } = chunk;
  const parts = Array.from({ length: act.ranks }, (_, rank) => from(chunk, rank).segments[held]);
  return {
    tokens,
    topK,
    dim: act.shape.config.dModel,
    parts: parts.filter((part): part is RowsPart => part !== undefined),
    position_TK: chunk.ofChoices(moe.position_TK),
  };
}

interface CombineIo {
  readonly weights_TK?: Floats;
  readonly base_TD?: Floats;
  readonly out_TD: Floats;
}

/** The rows of one segment of the experts, by token, a chunk at a time. */
const combine = (
  ctx: StageContext,
  layer: number,
  from: RowsFrom,
  { weights_TK, base_TD, out_TD }: CombineIo,
): KernelCall[] =>
  chunksOf(ctx, layer).map((chunk) => {
    const rows = rowsOfSegment(chunk, from, 0);
    return {
      op: 'combine',
      ...rows,
      ...(weights_TK === undefined ? {} : { weights_TK: chunk.ofChoices(weights_TK) }),
      ...(base_TD === undefined ? {} : { base_TD: chunk.ofTokens(base_TD, rows.dim) }),
      out_TD: chunk.ofTokens(out_TD, rows.dim),
    };
  });

/** A sum of what routed experts made, `each` elements a token: over the peers that have parts of them, or side by side by who dispatched what. */
function routedSum(ctx: StageContext, sum: Omit<SegmentSum, 'dealt'>, each: number): SegmentSum {
  const { act, shape } = ctx;
  const size = (each * act.tokens) / shape.grains;
  return {
    ...sum,
    dealt: dealtGrains(shape)?.map(({ first, end }) => ({ from: first * size, to: end * size })),
  };
}

/** Combined rows of every segment of the experts, of the tokens that this device dispatches, in the buffers of their sum. */
const combineParts = (
  ctx: StageContext,
  layer: number,
  from: RowsFrom,
  { of, weights_TK }: { readonly of: SumBuffers; readonly weights_TK?: Floats },
): KernelCall[] =>
  of.partials.flatMap((out, held) =>
    chunksOf(ctx, layer).map((chunk): KernelCall => {
      const rows = rowsOfSegment(chunk, from, held);
      return {
        op: 'combine',
        ...rows,
        ...(weights_TK === undefined ? {} : { weights_TK: chunk.ofChoices(weights_TK) }),
        out_TD: chunk.ofOwn(out, rows.dim),
      };
    }),
  );

interface MoeSum {
  readonly hasShared: boolean;
  readonly base: Floats;
  readonly out: Floats;
  /** Where the sum of routed experts goes by itself; default null: onto the others. */
  readonly apart?: Floats | null;
}

/** Sums of an MoE layer: of shared experts, then of routed ones. */
const moeSums = (
  ctx: StageContext,
  { ffn, routed }: { readonly ffn: SumBuffers; readonly routed: SumBuffers },
  { hasShared, base, out, apart = null }: MoeSum,
): readonly SegmentSum[] => {
  const { dModel } = ctx.shape.config;
  const onto = apart === null ? { base: hasShared ? out : base, out } : { out: apart };
  return [...(hasShared ? [{ of: ffn, base, out }] : []), routedSum(ctx, { of: routed, ...onto }, dModel)];
};

/**
 * hidden[l+1] = (mid[l] or mid[l] + shared experts) + Σ_k w_tk · y_tk in choice order, or + the norm of that sum. Where matrices are divided, the parts of that sum
 * that this device has; {@link moeForward} comes next.
 */
export function combineForward(ctx: StageContext, layer: number): KernelCall[] {
  const { act } = ctx;
  const { weights_TK } = act.moe(layer);
  const hasShared = sharedFfn(ctx, layer) !== null;
  if (!isWhole(act.tensor))
    return combineParts(ctx, layer, returnedRows, { of: act.sums.routed, weights_TK });
  const out_TD = act.hidden(layer + 1);
  const base_TD = hasShared ? out_TD : act.layer(layer).mid_TD;
  const apart = normedSum(ctx, layer);
  const memory = memoryForward(ctx, layer);
  if (apart === null)
    return [...combine(ctx, layer, returnedRows, { weights_TK, base_TD, out_TD }), ...memory];
  return [
    ...combine(ctx, layer, returnedRows, { weights_TK, out_TD: apart }),
    ...moeNormForward(ctx, layer, base_TD),
    ...memory,
  ];
}

/** What is left of an MoE layer once its rows are combined: nothing where matrices are whole, else the sum over all segments. */
export function moeForward(ctx: StageContext, layer: number): readonly Step[] {
  const { act } = ctx;
  if (isWhole(act.tensor)) return [];
  const [base, out] = [act.layer(layer).mid_TD, act.hidden(layer + 1)];
  const hasShared = sharedFfn(ctx, layer) !== null;
  const apart = normedSum(ctx, layer);
  return joined([
    ...sumsOver(ctx, moeSums(ctx, act.sums, { hasShared, base, out, apart })),
    { calls: [...moeNormForward(ctx, layer, hasShared ? out : base), ...memoryForward(ctx, layer)] },
  ]);
}

/** dHidden and the rows that came back in the forward pass → dRouted, dWeights_TK, or the parts of it that this device has. */
export function combineBackward(ctx: StageContext, layer: number): KernelCall[] {
  const { act } = ctx;
  const { dRouted_TD, dWeights_TK, sums } = act.gradients;
  const outs = isWhole(act.tensor) ? [dWeights_TK] : sums.weights.partials;
  const weights = outs.flatMap((out, held) =>
    chunksOf(ctx, layer).map((chunk): KernelCall => {
      const rows = rowsOfSegment(chunk, returnedRows, held);
      return {
        op: 'combine.backward.weights',
        ...rows,
        dOut_TD: chunk.ofTokens(dRouted_TD, rows.dim),
        dWeights_TK: chunk.ofOwn(out, rows.topK),
      };
    }),
  );
  return [...memoryBackward(ctx, layer), ...moeNormBackward(ctx, layer), ...weights];
}

/**
 * dWeights_TK, balance terms and the experts' input gradients → dNormed[l] and the gate's weight sum. Where matrices are divided, the parts
 * of the experts' gradients that this device has; {@link moeBackward} comes next.
 *
 * The chain of dNormed is fixed: dLogits·W, then the rows' gradients in choice order, then the shared experts.
 */
export function gateBackward(
  ctx: StageContext,
  layer: number,
  batch: DeviceBatch,
  balance: GateBackwardOptions,
): KernelCall[] {
  const { act } = ctx;
  const { dNormed_TD, sums } = act.gradients;
  if (!isWhole(act.tensor)) return combineParts(ctx, layer, returnedGradients, { of: sums.routed });
  const shared = sharedFfn(ctx, layer);
  return [
    ...routerBackward(ctx, layer, batch, balance),
    ...combine(ctx, layer, returnedGradients, { base_TD: dNormed_TD, out_TD: dNormed_TD }),
    ...(shared === null ? [] : residualFfnBackward(ctx, layer, { ...shared, accumulate: true })),
  ];
}

/** What is left of an MoE layer's backward pass behind the gate: nothing where matrices are whole. */
export function moeBackward(
  ctx: StageContext,
  layer: number,
  batch: DeviceBatch,
  balance: GateBackwardOptions,
): readonly Step[] {
  const { act } = ctx;
  if (isWhole(act.tensor)) return [];
  const { dNormed_TD, dWeights_TK, sums } = act.gradients;
  const shared = sharedFfn(ctx, layer);
  const hasShared = shared !== null;
  return joined([
    ...sumOver(ctx, routedSum(ctx, { of: sums.weights, out: dWeights_TK }, choiceWidth(moeConfig(ctx)))),
    { calls: routerBackward(ctx, layer, batch, balance) },
    { calls: shared === null ? [] : partialFfnBackward(ctx, layer, shared) },
    ...sumsOver(ctx, moeSums(ctx, sums, { hasShared, base: dNormed_TD, out: dNormed_TD })),
  ]);
}
