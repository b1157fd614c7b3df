import type { Floats, Ints, KernelCall } from '@troupe/kernel-set';
import type { DeviceBatch } from './batch.ts';
import { capacityFactor, jitterOf, routingDraws } from './routing-draws.ts';
import { moeConfig, type StageContext } from './stage-context.ts';

/** What the router of a layer reads: its normed input, in training spread by a jitter. */
export const routerInput = (ctx: StageContext, layer: number): Floats =>
  jitterOf(ctx) > 0 ? ctx.act.moe(layer).jittered_TD : ctx.act.layer(layer).normed_TD;

/** normed[l] → what the router reads; or the gradient of that → the gradient of normed[l], by the same factors. */
export function jitterCalls(ctx: StageContext, layer: number, x: Floats, out: Floats): KernelCall[] {
  const width = jitterOf(ctx);
  if (width === 0) return [];
  const { dModel } = ctx.shape.config;
  const draws = routingDraws(ctx, layer, 'jitter');
  return [{ op: 'jitter', rows: ctx.act.tokens, dim: dModel, x, out, width, ...draws }];
}

/** The choices whose rows go to experts: those that were kept. */
export function keptChoices(ctx: StageContext, layer: number): Ints {
  const { kept_TK, choices_TK } = ctx.act.moe(layer);
  return capacityFactor(ctx) === 0 ? choices_TK : kept_TK;
}

/** The choices that share the combine weights: of them come gradients of probabilities. */
export const weighedChoices = (ctx: StageContext, layer: number): Ints =>
  moeConfig(ctx).capacity.weights === 'chosen' ? ctx.act.moe(layer).choices_TK : keptChoices(ctx, layer);

/** Every expert drops what it has no room for: choices_TK → kept_TK. A grain is the group within which they compare. */
export function dropCalls(ctx: StageContext, layer: number, batch: DeviceBatch): KernelCall[] {
  const factorMillionths = capacityFactor(ctx);
  if (factorMillionths === 0) return [];
  const { act } = ctx;
  const { experts, topK, capacity } = moeConfig(ctx);
  const { probs_TE, choices_TK, kept_TK } = act.moe(layer);
  return [
    {
      op: 'route.select',
      tokens: act.tokens,
      experts,
      topK,
      policy: capacity.drop,
      factorMillionths,
      minCapacity: capacity.min,
      probs_TE,
      choices_TK,
      valid_T: batch.valid_T,
      groupStarts: act.grainStarts,
      kept_TK,
      numDropped: ctx.statistics.of(layer).numDropped,
      ...routingDraws(ctx, layer, 'rts'),
    },
  ];
}

/** Combine weights of what was kept; where nothing is dropped, those of all choices are there already. */
export function weighCalls(ctx: StageContext, layer: number): KernelCall[] {
  if (capacityFactor(ctx) === 0) return [];
  const { experts, topK, renormalise, capacity, router } = moeConfig(ctx);
  const { probs_TE, choices_TK, kept_TK, weights_TK } = ctx.act.moe(layer);
  return [
    {
      op: 'gate.weigh',
      tokens: ctx.act.tokens,
      experts,
      topK,
      renormalise,
      scores: router.scores,
      scale: router.scale,
      probs_TE,
      choices_TK: kept_TK,
      ...(capacity.weights === 'chosen' ? { divisor_TK: choices_TK } : {}),
      weights_TK,
    },
  ];
}
