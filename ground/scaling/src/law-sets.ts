import granular16 from './coefficients/granular-e16.json' with { type: 'json' };
import granular64Printed from './coefficients/granular-e64-printed.json' with { type: 'json' };
import granular64 from './coefficients/granular-e64.json' with { type: 'json' };
import joint from './coefficients/joint.json' with { type: 'json' };
import { ScalingLawError } from './errors.ts';
import type { DenseLaw, GranularLaw, JointLaw, LawSet } from './law-set.ts';
import { readLawSet } from './read-law-set.ts';

/** The sets that come with the package, the default first. */
export const lawSets: readonly LawSet[] = [granular64, granular64Printed, granular16, joint].map((set) =>
  readLawSet(set, set.name),
);

/** @throws {ScalingLawError} TROUPE_SCALING_LAW when there is none of that name */
export function lawSet(name: string): LawSet {
  const found = lawSets.find((set) => set.name === name);
  if (found !== undefined) return found;
  throw new ScalingLawError(
    `there is no set of coefficients '${name}', only ${lawSets.map((set) => set.name).join(', ')}`,
  );
}

/** The published set whose number of experts is nearest to this one, in ratio. */
export function nearestLawSet(expansion: number): LawSet {
  const distance = (set: LawSet): number => Math.abs(Math.log((set.expansion ?? 1) / expansion));
  const known = [lawSet('granular-e64'), lawSet('granular-e16')];
  return known.reduce((best, set) => (distance(set) < distance(best) ? set : best));
}

function lawOf<Law>(set: LawSet, law: Law | undefined, name: string): Law {
  if (law !== undefined) return law;
  throw new ScalingLawError(`the set '${set.name}' has no ${name} law; name another with --law`);
}

/** @throws {ScalingLawError} TROUPE_SCALING_LAW when the set has none; so do the two below */
export const granularLawOf = (set: LawSet): GranularLaw => lawOf(set, set.granular, 'granular');
export const denseLawOf = (set: LawSet): DenseLaw => lawOf(set, set.dense, 'dense');
export const jointLawOf = (set: LawSet): JointLaw => lawOf(set, set.joint, 'joint');
