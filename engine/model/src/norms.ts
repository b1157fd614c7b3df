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
