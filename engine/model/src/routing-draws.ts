import { philoxKey } from '@troupe/core';
import type { RoutingDraws } from '@troupe/kernel-set';
import { millionths } from '@troupe/spec';
import type { RoutingPlace } from './routing-place.ts';
import type { StageContext } from './stage-context.ts';

type Purpose = 'rts' | 'gumbel' | 'rsample' | 'jitter';

/** Words of one purpose in one layer: a function of seed, step, sequence and position, of no attempt, microbatch or rank. */
export function routingDraws(ctx: StageContext, layer: number, purpose: Purpose): RoutingDraws {
  const { mode, seed, step, firstSequence } = ctx.routing ?? restPlace;
  const isTraining = mode === 'train';
  return {
    key: philoxKey(seed, `moe.${purpose}/L${layer}${isTraining ? '' : '/eval'}`),
    step: isTraining ? step : 0,
    firstSequence,
    seqLen: ctx.shape.config.seqLen,
  };
}

/** The place of calls that are looked at and not run. */
const restPlace: RoutingPlace = { mode: 'train', seed: 0, step: 0, firstSequence: 0 };

/** Capacity factor of a pass, in millionths; 0: nothing is dropped, as in all generation. */
export function capacityFactor({ routing, shape }: StageContext): number {
  const capacity = shape.config.moe?.capacity;
  if (routing === undefined || capacity === undefined) return 0;
  return millionths(routing.mode === 'train' ? capacity.train : capacity.eval);
}

/** How far a pass moves the inputs of its routers; 0 unless it trains. */
export const jitterOf = ({ routing, shape }: StageContext): number =>
  routing?.mode === 'train' ? (shape.config.moe?.router.jitter ?? 0) : 0;

/** Whether a pass draws choices. */
export const samples = ({ routing, shape }: StageContext): boolean =>
  routing?.mode === 'train' && (shape.config.moe?.router.sampling ?? 'none') !== 'none';
