import type { Floats, KernelCall } from '@troupe/kernel-set';
import { normBackward, normForward } from './norms.ts';
import type { StageContext } from './stage-context.ts';

const unitOf = (layer: number): string => `L${layer}/moe-norm`;

/** Where the sum over a token's routed experts goes that a norm reads; null: nothing is between it and the residual stream. */
export const normedSum = (ctx: StageContext, layer: number): Floats | null =>
  ctx.act.moe(layer).normInput?.sum_TD ?? null;

/** hidden[l+1] = base + norm(what routed experts add). Of a token that no expert got, that is the norm of zeros: its bias. */
export function moeNormForward(ctx: StageContext, layer: number, base: Floats): KernelCall[] {
  const { act } = ctx;
  const { normInput } = act.moe(layer);
  if (normInput === null) return [];
  const { normedSum_TD } = act;
  return [
    normForward(ctx, unitOf(layer), normInput.sum_TD, normedSum_TD, normInput.stats),
    { op: 'partials.add', base, parts: [normedSum_TD], out: act.hidden(layer + 1) },
  ];
}

/** dHidden → dRouted, from which everything behind the routed experts goes on. */
export function moeNormBackward(ctx: StageContext, layer: number): KernelCall[] {
  const { normInput } = ctx.act.moe(layer);
  if (normInput === null) return [];
  const { dHidden_TD, dRouted_TD } = ctx.act.gradients;
  const { sum_TD: x, stats } = normInput;
  return [
    normBackward(ctx, unitOf(layer), { x, stats, dOut: dHidden_TD, dx: dRouted_TD, accumulate: false }),
  ];
}
