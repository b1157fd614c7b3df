import type { Floats, KernelCall, Rows } from '@troupe/kernel-set';
import {
  gradientOperands,
  projectedGradients,
  qkSegments,
  type AttentionSegment,
  type QkSegment,
} from './attention-segment.ts';
import type { NormSums } from './norm-sums.ts';
import { sumsOver } from './partial-sums.ts';
import { gradientsOf, type StageContext } from './stage-context.ts';
import type { Step } from './step.ts';
import { partialOf } from './sum-buffers.ts';

/** What a norm of which a segment has a part takes from all segments. */
const summed = (sums: NormSums | null, { side, fullDim }: QkSegment, key: 'squares_T' | 'products_T') =>
  sums === null ? {} : { [key]: sums[side].total_T, fullDim };

function normForward(ctx: StageContext, segment: QkSegment): KernelCall {
  const { unitId, groups, dim, stats, raw, normed } = segment;
  return {
    op: 'norm.forward',
    kind: 'rms',
    rows: ctx.act.tokens,
    groups,
    dim,
    eps: ctx.shape.config.norm.eps,
    x: raw,
    weight: ctx.weights.view(unitId),
    out: normed,
    stats,
    ...summed(ctx.act.normSums, segment, 'squares_T'),
  };
}

/** Sums over all segments, of what `part` leaves of each. */
function sumParts(
  ctx: StageContext,
  sums: NormSums,
  segments: readonly AttentionSegment[],
  part: (each: QkSegment, from: AttentionSegment, out_T: Floats) => KernelCall,
): Step[] {
  const parts = segments.flatMap((from) =>
    qkSegments(from).map((each) => part(each, from, partialOf(sums[each.side].of, from.held))),
  );
  const all = [sums.query, sums.key].map(({ of, total_T }) => ({ of, out: total_T }));
  return [{ calls: parts }, ...sumsOver(ctx, all)];
}

/** RMS norm of queries and keys, per head or over the full width; nothing without. */
export function qkNormsForward(ctx: StageContext, segments: readonly AttentionSegment[]): Step[] {
  const sums = ctx.act.normSums;
  const rows = ctx.act.tokens;
  const norms: Step = {
    calls: segments.flatMap((each) => qkSegments(each).map((norm) => normForward(ctx, norm))),
  };
  if (sums === null) return [norms];
  return [
    ...sumParts(ctx, sums, segments, ({ dim, raw }, _, out_T) => ({
      op: 'norm.squares',
      rows,
      dim,
      x: raw,
      out_T,
    })),
    norms,
  ];
}

/** Where the gradient of one side lies. */
const sideOf = ({ q, k }: { readonly q: Rows; readonly k: Rows }, side: QkSegment['side']): Rows =>
  side === 'query' ? q : k;

function normBackward(ctx: StageContext, from: AttentionSegment, norm: QkSegment): KernelCall {
  const { side, unitId, groups, dim, stats, raw } = norm;
  const gradients = gradientsOf(ctx);
  // The norm of a head has a leaf of every segment.
  const targets = from.held > 0 && from.mixer.qkNorm === 'head' ? gradients.more : gradients;
  return {
    op: 'norm.backward',
    kind: 'rms',
    rows: ctx.act.tokens,
    groups,
    dim,
    x: raw,
    weight: ctx.weights.view(unitId),
    stats,
    dOut: sideOf(gradientOperands(ctx, from), side),
    dx: sideOf(projectedGradients(ctx, from), side),
    accumulate: false,
    grainStarts: ctx.act.grainStarts,
    weightSum: targets.view(unitId),
    ...summed(ctx.act.normSums, norm, 'products_T'),
  };
}

/** Gradients of normed queries and keys → those of the projection's, with a leaf a grain for the norms' weights. */
export function qkNormsBackward(ctx: StageContext, segments: readonly AttentionSegment[]): Step[] {
  const sums = ctx.act.normSums;
  const rows = ctx.act.tokens;
  const norms: Step = {
    calls: segments.flatMap((each) => qkSegments(each).map((norm) => normBackward(ctx, each, norm))),
  };
  if (sums === null) return [norms];
  return [
    ...sumParts(ctx, sums, segments, ({ side, unitId, dim, stats, raw }, from, out_T) => ({
      op: 'norm.products',
      rows,
      dim,
      x: raw,
      weight: ctx.weights.view(unitId),
      stats,
      dOut: sideOf(gradientOperands(ctx, from), side),
      out_T,
    })),
    norms,
  ];
}
