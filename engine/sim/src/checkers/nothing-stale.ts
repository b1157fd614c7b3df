import type { Checker } from './checker.ts';

/** Nothing that a replaced life of a node sent is read. */
export const nothingStale = (): Checker => ({
  name: 'nothing-stale',
  looksAt: ['packet'],
  see: (seen) =>
    seen.type === 'packet' && seen.fromLife < seen.currentLife
      ? `${seen.to} read a message of life ${seen.fromLife} of ${seen.from}, whose life ${seen.currentLife} has begun`
      : null,
});
