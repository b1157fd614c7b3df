import { assert } from '@troupe/core';

const GOLDEN = (3 - Math.sqrt(5)) / 2;
/** A minimum is known to the root of what a double resolves, and no better. */
const RELATIVE = 1e-9;
const MOST_STEPS = 200;

/**
 * Where a function of one minimum is least between two numbers: parabolas through the last three points, golden sections where they lead nowhere.
 *
 * @see Brent 1973, "Algorithms for Minimization without Derivatives", chapter 5
 */
export function minimumBetween(least: number, most: number, value: (x: number) => number): number {
  assert(least < most, 'an interval has a width', { least, most });
  let [low, high] = [least, most];
  let best = low + GOLDEN * (high - low);
  let [second, third] = [best, best];
  let bestValue = value(best);
  let [secondValue, thirdValue] = [bestValue, bestValue];
  let [step, stepBefore] = [0, 0];
  for (let count = 0; count < MOST_STEPS; count++) {
    const middle = (low + high) / 2;
    const tolerance = RELATIVE * Math.abs(best) + RELATIVE / 10;
    if (Math.abs(best - middle) <= 2 * tolerance - (high - low) / 2) break;
    // The parabola's minimum is best + p/q.
    const r = (best - second) * (bestValue - thirdValue);
    const s = (best - third) * (bestValue - secondValue);
    const q = 2 * (s - r);
    const p = Math.sign(q) * -((best - third) * s - (best - second) * r);
    const isParabola =
      Math.abs(stepBefore) > tolerance &&
      Math.abs(p) < Math.abs((q * stepBefore) / 2) &&
      p > Math.abs(q) * (low - best) &&
      p < Math.abs(q) * (high - best);
    stepBefore = isParabola ? step : best < middle ? high - best : low - best;
    step = isParabola ? p / Math.abs(q) : GOLDEN * stepBefore;
    const at = best + (Math.abs(step) >= tolerance ? step : Math.sign(step) * tolerance);
    const found = value(at);
    if (found <= bestValue) {
      if (at < best) high = best;
      else low = best;
      [third, thirdValue, second, secondValue, best, bestValue] = [
        second,
        secondValue,
        best,
        bestValue,
        at,
        found,
      ];
      continue;
    }
    if (at < best) low = at;
    else high = at;
    if (found <= secondValue || second === best)
      [third, thirdValue, second, secondValue] = [second, secondValue, at, found];
    else if (found <= thirdValue || third === best || third === second) [third, thirdValue] = [at, found];
  }
  return best;
}

/**
 * Where a function that rises changes its sign, by halving.
 *
 * @returns null when it has one sign at both ends
 */
export function rootBetween(least: number, most: number, value: (x: number) => number): number | null {
  let [low, high] = [least, most];
  if (value(low) > 0 || value(high) < 0) return null;
  for (let count = 0; count < MOST_STEPS; count++) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) break;
    if (value(middle) < 0) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
