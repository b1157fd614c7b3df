import type { Checker } from './checker.ts';

/**
 * A checkpoint that was reported would survive a loss of power at that moment.
 *
 * A disk that tears a write and reports success cannot be seen through by who writes; there the rule is that who reads notices, and that
 * is how the damage was found.
 */
export const manifestsComplete = (): Checker => {
  let isTorn = false;
  return {
    name: 'manifests-complete',
    looksAt: ['fault', 'checkpoint'],
    see: (seen) => {
      if (seen.type === 'fault' && seen.fault.kind === 'torn-write') isTorn = true;
      return seen.type === 'checkpoint' && seen.damage !== null && !isTorn
        ? `checkpoint ${seen.path} was reported, and a loss of power now would lose it: ${seen.damage}`
        : null;
    },
  };
};
