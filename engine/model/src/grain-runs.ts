import { assert } from '@troupe/core';

/** Consecutive grains of a microbatch, [first, end). */
export interface GrainRun {
  readonly first: number;
  readonly end: number;
}

/** Cuts a run into `count` runs that are as even as whole grains allow; where there are more runs than grains, some are empty. */
export function grainRuns({ first, end }: GrainRun, count: number): readonly GrainRun[] {
  assert(count >= 1, 'a run is cut into at least one', { count });
  const bound = (index: number): number => first + Math.floor(((end - first) * index) / count);
  return Array.from({ length: count }, (_, index) => ({ first: bound(index), end: bound(index + 1) }));
}
