import { assert } from '@troupe/core';
import type { Floats, Halves, HalfRows, KernelCall, Rows } from '@troupe/kernel-set';
import { gradientsOf, type StageContext } from './stage-context.ts';

/** A dense matrix in either storage. */
export function rowsOf(data: Floats | Halves): Rows | HalfRows {
  return { data } as Rows | HalfRows;
}

/** One norm of the residual stream: unit `unitId` over rows of D. */
export function normForward(
  ctx: StageContext,
  unitId: string,
  x: Floats,
  out: Floats | Halves,
  stats: Floats,
): KernelCall {
  const { kind, eps } = ctx.shape.config.norm;
  const [weight, bias] = [ctx.weights.part(unitId, 0), ctx.weights.part(unitId, 1)];
  assert(weight !== null, 'a norm has a weight', { unitId });
  return {
    op: 'norm.forward',
    kind,
    rows: ctx.act.tokens,
    groups: 1,
    dim: ctx.shape.config.dModel,
    eps,
    x: { data: x },
    weight,
    ...(bias === null ? {} : { bias }),
    out: rowsOf(out),
    stats,
  };
}

/** dx (+)= the norm's gradient, with a leaf per grain for its weight and bias. */
export function normBackward(
  ctx: StageContext,
  unitId: string,
  io: {
    readonly x: Floats;
    readonly stats: Floats;
    readonly dOut: Floats;
    readonly dx: Floats;
    readonly accumulate: boolean;
  },
): KernelCall {
  const sums = gradientsOf(ctx);
  const [weight, weightSum, biasSum] = [
    ctx.weights.part(unitId, 0),
    sums.part(unitId, 0),
    sums.part(unitId, 1),
  ];
  assert(weight !== null && weightSum !== null, 'a norm has a weight', { unitId });
  return {
    op: 'norm.backward',
    kind: ctx.shape.config.norm.kind,
    rows: ctx.act.tokens,
    groups: 1,
    dim: ctx.shape.config.dModel,
    x: { data: io.x },
    weight,
    stats: io.stats,
    dOut: { data: io.dOut },
    dx: { data: io.dx },
    accumulate: io.accumulate,
    grainStarts: ctx.act.grainStarts,
    weightSum,
    ...(biasSum === null ? {} : { biasSum }),
  };
}

/** Where one of query and key lies, and its norm: `groups` segments of `dim` in each row. */
export interface QkSegment {
  readonly unitId: string;
  readonly groups: number;
  readonly dim: number;
  readonly stats: Floats;
  readonly raw: Rows;
  readonly normed: Rows;
}

/** RMS norm of queries or keys, per head or over the full width. */
export function qkNormForward(ctx: StageContext, segment: QkSegment): KernelCall {
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
  };
}

export function qkNormBackward(ctx: StageContext, segment: QkSegment, dNormed: Rows, dRaw: Rows): KernelCall {
  const { unitId, groups, dim, stats, raw } = segment;
  return {
    op: 'norm.backward',
    kind: 'rms',
    rows: ctx.act.tokens,
    groups,
    dim,
    x: raw,
    weight: ctx.weights.view(unitId),
    stats,
    dOut: dNormed,
    dx: dRaw,
    accumulate: false,
    grainStarts: ctx.act.grainStarts,
    weightSum: gradientsOf(ctx).view(unitId),
  };
}
