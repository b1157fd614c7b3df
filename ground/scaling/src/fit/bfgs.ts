import { assert } from '@troupe/core';

/** A function of several numbers and its slope in each. */
export type Objective = (at: readonly number[]) => {
  readonly value: number;
  readonly slope: readonly number[];
};

const MOST_STEPS = 2000;
/** A slope that ends the search, against the size of the value. */
const FLAT = 1e-10;
/** Armijo's: share of the promised descent that a step has to bring. */
const SUFFICIENT = 1e-4;
const SHORTEST = 1e-14;

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, each, index) => sum + each * (b[index] ?? 0), 0);
const along = (a: readonly number[], b: readonly number[], times: number): readonly number[] =>
  a.map((each, index) => each + times * (b[index] ?? 0));

/** The inverse Hessian after a step and the change of slope that it brought. */
function updated(
  inverse: readonly (readonly number[])[],
  step: readonly number[],
  change: readonly number[],
): readonly (readonly number[])[] {
  const curvature = dot(step, change);
  // A step along which the slope does not rise says nothing about a minimum.
  if (!(curvature > 1e-14 * Math.sqrt(dot(step, step) * dot(change, change)))) return inverse;
  const turned = inverse.map((row) => dot(row, change));
  const factor = (1 + dot(change, turned) / curvature) / curvature;
  return inverse.map((row, i) =>
    row.map((each, j) => {
      const mixed = (step[i] ?? 0) * (turned[j] ?? 0) + (turned[i] ?? 0) * (step[j] ?? 0);
      return each + factor * (step[i] ?? 0) * (step[j] ?? 0) - mixed / curvature;
    }),
  );
}

const identity = (size: number): readonly (readonly number[])[] =>
  Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) => (i === j ? 1 : 0)));

/**
 * Minimum of a smooth function near a start: BFGS, each step halved until it descends enough.
 *
 * @see Nocedal and Wright 2006, "Numerical Optimization", chapter 6
 */
export function minimise(objective: Objective, start: readonly number[]): readonly number[] {
  let at = start;
  let { value, slope }: ReturnType<Objective> = objective(at);
  assert(Number.isFinite(value), 'a search starts where its function is a number', { value });
  let inverse = identity(start.length);
  let isFresh = true;
  for (let count = 0; count < MOST_STEPS; count++) {
    if (Math.sqrt(dot(slope, slope)) <= FLAT * Math.max(1, Math.abs(value))) break;
    const direction = inverse.map((row) => -dot(row, slope));
    const descent = dot(direction, slope);
    let length: number = isFresh ? Math.min(1, 1 / Math.sqrt(dot(slope, slope))) : 1;
    let next = objective(along(at, direction, length));
    while (!(next.value <= value + SUFFICIENT * length * descent) && length > SHORTEST) {
      length /= 2;
      next = objective(along(at, direction, length));
    }
    if (!(next.value < value)) {
      // Rounding ends the search, unless the curvature was wrong.
      if (isFresh) break;
      [inverse, isFresh] = [identity(start.length), true];
      continue;
    }
    const step: readonly number[] = direction.map((each) => each * length);
    inverse = updated(inverse, step, along(next.slope, slope, -1));
    [at, value, slope, isFresh] = [along(at, step, 1), next.value, next.slope, false];
  }
  return at;
}
