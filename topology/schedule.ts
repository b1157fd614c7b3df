import { assert, cosine } from '@troupe/core';
import type { ResolvedOptimizer } from './resolved.ts';

/** What the learning rate depends on. */
export interface ScheduleConfig {
  readonly steps: number;
  /** Step after which it starts. Default 0. */
  readonly scheduleFrom?: number;
  readonly optimizer: Pick<ResolvedOptimizer, 'lr' | 'lrMin' | 'schedule' | 'warmup' | 'decay'>;
}

/** Steps in which the learning rate rises. */
export function warmupSteps({ steps, scheduleFrom = 0, optimizer }: ScheduleConfig): number {
  return Math.round(optimizer.warmup * (steps - scheduleFrom));
}

/** Steps at the end in which it falls. */
function decaySteps({ steps, scheduleFrom = 0, optimizer }: ScheduleConfig, warmup: number): number {
  const after = steps - scheduleFrom - warmup;
  if (optimizer.schedule !== 'wsd') return after;
  return Math.min(after, Math.round((optimizer.decay ?? 0) * (steps - scheduleFrom)));
}

/**
 * The learning rate of one step.
 *
 * Rises as step/warmup to `lr`, reached at the last warm-up step, then falls to `lrMin` at the last step along half a
 * cosine, along a line, or not at all (constant). With wsd it stays at `lr` first, and falls along a line in the last `decay` of the steps.
 *
 * @param step - from 1 to `steps`; beyond, the rate of the last step
 * @see Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5, without restarts; for wsd Hägele et al. 2024, arXiv:2405.18392, eq. 1, linear
 */
export function learningRate(train: ScheduleConfig, step: number): number {
  assert(Number.isSafeInteger(step) && step >= 1, 'steps count from 1', { step });
  const { lr, lrMin, schedule } = train.optimizer;
  const { steps, scheduleFrom = 0 } = train;
  const warmup = warmupSteps(train);
  const at = Math.max(1, step - scheduleFrom);
  if (at <= warmup) return lr * (at / warmup);
  const decay = decaySteps(train, warmup);
  const stable = steps - scheduleFrom - decay;
  if (schedule === 'constant' || (schedule === 'wsd' && (decay === 0 || at <= stable))) return lr;
  const progress = Math.min(1, (at - stable) / Math.max(1, decay));
  if (progress === 1) return lrMin;
  const share = schedule === 'cosine' ? 0.5 * (1 + cosine(Math.PI * progress)) : 1 - progress;
  return lrMin + (lr - lrMin) * share;
}
