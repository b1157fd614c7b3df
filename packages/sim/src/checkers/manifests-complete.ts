import type { Checker } from './checker.ts';

/** A checkpoint that was reported would survive a loss of power at that moment. */
export const manifestsComplete = (): Checker => ({
  name: 'manifests-complete',
  see: (seen) =>
    seen.type === 'checkpoint' && seen.damage !== null
      ? `checkpoint ${seen.path} was reported, and a loss of power now would lose it: ${seen.damage}`
      : null,
});
