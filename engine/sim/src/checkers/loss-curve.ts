import type { Checker } from './checker.ts';

/** A step of the run without faults. */
export interface ReferenceStep {
  readonly step: number;
  readonly loss: number;
  readonly gradNorm: number;
}

/** Every committed step has the loss and gradient norm of the run without faults, bit for bit. */
export const lossCurve = (reference: readonly ReferenceStep[]): Checker => {
  const byStep = new Map(reference.map((each) => [each.step, each]));
  return {
    name: 'loss-curve',
    looksAt: ['step'],
    see: (seen) => {
      if (seen.type !== 'step') return null;
      const wanted = byStep.get(seen.step);
      if (wanted === undefined) return null;
      for (const key of ['loss', 'gradNorm'] as const)
        if (!Object.is(seen[key], wanted[key]))
          return `${key} of step ${seen.step} is ${seen[key]}, without faults ${wanted[key]}`;
      return null;
    },
  };
};
