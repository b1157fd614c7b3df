import type { Floats, KernelCall, RowsPart } from '@troupe/kernel-set';
import type { DeviceBatch } from './batch.ts';
import type { ReturnedRows } from './dispatch.ts';
import { partialFfnBackward, residualFfnBackward, sharedFfn } from './ffn.ts';
import { moeConfig, routerBackward, type GateBackwardOptions } from './gate.ts';
import { sumOver, sumsOver, type SegmentSum } from './partial-sums.ts';
import type { StageContext } from './stage-context.ts';
import { joined, type Step } from './step.ts';
import type { SumBuffers } from './sum-buffers.ts';
import { isWhole } from './tensor-share.ts';

/** The rows of one segment of the experts from all ranks. */
const rowsOfSegment = (returned: readonly ReturnedRows[], held: number): readonly RowsPart[] =>
  returned.flatMap(({ segments }) => segments[held] ?? []);

interface CombineIo {
  readonly weights_TK?: Floats;
  readonly base_TD?: Floats;
  readonly out_TD: Floats;
}

function combine(ctx: StageContext, layer: number, parts: readonly RowsPart[], io: CombineIo): KernelCall {
  const { act } = ctx;
  return {
    op: 'combine',
    tokens: act.tokens,
    topK: moeConfig(ctx).topK,
    dim: ctx.shape.config.dModel,
    parts,
    position_TK: act.moe(layer).position_TK,
    ...io,
  };
}

/** Combined rows of every segment of the experts, in the buffers of their sum; tokens that a peer dispatches have zeros. */
const combineParts = (
  ctx: StageContext,
  layer: number,
  returned: readonly ReturnedRows[],
  io: { readonly of: SumBuffers; readonly weights_TK?: Floats },
): KernelCall[] =>
  io.of.partials.map((out_TD, held) =>
    combine(ctx, layer, rowsOfSegment(returned, held), {
      ...(io.weights_TK === undefined ? {} : { weights_TK: io.weights_TK }),
      out_TD,
    }),
  );

/** Sums of an MoE layer: of shared experts, then of routed ones. */
const moeSums = (
  { ffn, routed }: { readonly ffn: SumBuffers; readonly routed: SumBuffers },
  { hasShared, base, out }: { readonly hasShared: boolean; readonly base: Floats; readonly out: Floats },
): readonly SegmentSum[] =>
  hasShared
    ? [
        { of: ffn, base, out },
        { of: routed, base: out, out },
      ]
    : [{ of: routed, base, out }];

/**
 * hidden[l+1] = (mid[l] or mid[l] + shared experts) + Σ_k w_tk · y_tk in choice order. Where matrices are divided, the parts of that sum
 * that this device has; {@link moeForward} comes next.
 */
export function combineForward(
  ctx: StageContext,
  layer: number,
  returned: readonly ReturnedRows[],
): KernelCall[] {
  const { act } = ctx;
  const { weights_TK } = act.moe(layer);
  const hasShared = sharedFfn(ctx, layer) !== null;
  if (!isWhole(act.tensor)) return combineParts(ctx, layer, returned, { of: act.sums.routed, weights_TK });
  const out_TD = act.hidden(layer + 1);
  const base_TD = hasShared ? out_TD : act.layer(layer).mid_TD;
  return [combine(ctx, layer, rowsOfSegment(returned, 0), { weights_TK, base_TD, out_TD })];
}

/** What is left of an MoE layer once its rows are combined: nothing where matrices are whole, else the sum over all segments. */
export function moeForward(ctx: StageContext, layer: number): readonly Step[] {
  const { act } = ctx;
  if (isWhole(act.tensor)) return [];
  const [base, out] = [act.layer(layer).mid_TD, act.hidden(layer + 1)];
  return sumsOver(ctx, moeSums(act.sums, { hasShared: sharedFfn(ctx, layer) !== null, base, out }));
}

/** dHidden and the rows that came back in the forward pass → dWeights_TK, or the parts of it that this device has. */
export function combineBackward(
  ctx: StageContext,
  layer: number,
  returned: readonly ReturnedRows[],
): KernelCall[] {
  const { act } = ctx;
  const { dHidden_TD, dWeights_TK, sums } = act.gradients;
  const outs = isWhole(act.tensor) ? [dWeights_TK] : sums.weights.partials;
  return outs.map((out, held) => ({
    op: 'combine.backward.weights',
    tokens: act.tokens,
    topK: moeConfig(ctx).topK,
    dim: ctx.shape.config.dModel,
    parts: rowsOfSegment(returned, held),
    position_TK: act.moe(layer).position_TK,
    dOut_TD: dHidden_TD,
    dWeights_TK: out,
  }));
}

/**
 * dWeights_TK, balance terms and the experts' input gradients → dNormed[l] and the gate's weight sum. Where matrices are divided, the parts
 * of the experts' gradients that this device has; {@link moeBackward} comes next.
 *
 * The chain of dNormed is fixed: dLogits·W, then the rows' gradients in choice order, then the shared experts.
 *
 * @param returned - gradients of the routed rows' inputs, as the experts sent them back
 */
export function gateBackward(
  ctx: StageContext,
  layer: number,
  batch: DeviceBatch,
  returned: readonly ReturnedRows[],
  balance: GateBackwardOptions,
): KernelCall[] {
  const { act } = ctx;
  const { dNormed_TD, sums } = act.gradients;
  if (!isWhole(act.tensor)) return combineParts(ctx, layer, returned, { of: sums.routed });
  const shared = sharedFfn(ctx, layer);
  const rows = rowsOfSegment(returned, 0);
  return [
    ...routerBackward(ctx, layer, batch, balance),
    combine(ctx, layer, rows, { base_TD: dNormed_TD, out_TD: dNormed_TD }),
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
    ...sumOver(ctx, { of: sums.weights, out: dWeights_TK }),
    { calls: routerBackward(ctx, layer, batch, balance) },
    { calls: shared === null ? [] : partialFfnBackward(ctx, layer, shared) },
    ...sumsOver(ctx, moeSums(sums, { hasShared, base: dNormed_TD, out: dNormed_TD })),
  ]);
}
