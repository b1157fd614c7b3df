import { assert } from '@troupe/core';
import type { ResolvedOptimizer } from './resolved.ts';

/** What the learning rate depends on. */
export interface ScheduleConfig {
  readonly steps: number;
  /** Step after which it starts. Default 0. */
  readonly scheduleFrom?: number;
  readonly optimizer: Pick<ResolvedOptimizer, 'lr' | 'lrMin' | 'schedule' | 'warmup'>;
}

/** Steps in which the learning rate rises. */
export function warmupSteps({ steps, scheduleFrom = 0, optimizer }: ScheduleConfig): number {
  return Math.round(optimizer.warmup * (steps - scheduleFrom));
}

/**
 * The learning rate of one step.
 *
 * Rises as step/warmup to `lr`, reached at the last warm-up step, then falls to `lrMin` at the last step along half a
 * cosine, along a line, or not at all (constant).
 *
 * @param step - from 1 to `steps`; beyond, the rate of the last step
 * @see Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5, without restarts
 */
export function learningRate(train: ScheduleConfig, step: number): number {
  assert(Number.isSafeInteger(step) && step >= 1, 'steps count from 1', { step });
  const { lr, lrMin, schedule } = train.optimizer;
  assert(schedule !== 'wsd', 'refuseUnbuilt lets only built schedules through', { schedule });
  const { steps, scheduleFrom = 0 } = train;
  const warmup = warmupSteps(train);
  const at = Math.max(1, step - scheduleFrom);
  if (at <= warmup) return lr * (at / warmup);
  if (schedule === 'constant') return lr;
  const progress = Math.min(1, (at - warmup) / Math.max(1, steps - scheduleFrom - warmup));
  if (progress === 1) return lrMin;
  const share = schedule === 'linear' ? 1 - progress : 0.5 * (1 + Math.cos(Math.PI * progress));
  return lrMin + (lr - lrMin) * share;
}
