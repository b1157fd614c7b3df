import type { GradientTarget, StoredGradient } from '../on-host.ts';

export const isStored = (target: GradientTarget): target is StoredGradient => 'gradient' in target;

/** Elements that a target has room for. */
export const targetLength = (target: GradientTarget): number =>
  isStored(target) ? target.gradient.length : target.values.length;
