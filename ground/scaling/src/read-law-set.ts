import { shownValue } from '@troupe/core';
import { ScalingLawError } from './errors.ts';
import type { LawSet } from './law-set.ts';

const coefficients = {
  granular: ['a', 'alpha', 'b', 'beta', 'g', 'gamma', 'c'],
  dense: ['a', 'alpha', 'b', 'beta', 'c'],
  joint: ['a', 'delta', 'alpha', 'gamma', 'b', 'omega', 'beta', 'zeta', 'c', 'expertsStart', 'expertsMost'],
} as const;

/** Those that a law of powers falls with; the joint law has negative exponents of its own. */
const positive = new Set(['a', 'b', 'g', 'alpha', 'beta', 'gamma', 'paramsMost', 'tokensMost', 'expansion']);

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * A set of coefficients as a file holds it.
 *
 * @param origin - what to call it in an error: its path
 * @throws {ScalingLawError} TROUPE_SCALING_LAW: names the first field that is not what it has to be
 */
export function readLawSet(value: unknown, origin: string): LawSet {
  const fail = (what: string): never => {
    throw new ScalingLawError(`${origin}: ${what}; granular-e64.json of @troupe/scaling is an example`);
  };
  const fieldsOf = (fields: unknown, name: string): Fields =>
    isFields(fields) ? fields : fail(`${name} is ${shownValue(fields)}, expected an object`);
  const numbers = (fields: Fields, at: string, names: readonly string[], mayBeNegative: boolean): void => {
    for (const name of names) {
      const found = fields[name];
      const isRight =
        typeof found === 'number' &&
        Number.isFinite(found) &&
        (mayBeNegative || !positive.has(name) || found > 0);
      if (!isRight)
        fail(`${at}${name} is ${shownValue(found)}, expected a number${mayBeNegative ? '' : ' > 0'}`);
    }
  };
  const set = fieldsOf(value, 'the set of coefficients');
  for (const name of ['name', 'source', 'note'])
    if (typeof set[name] !== 'string') fail(`${name} is ${shownValue(set[name])}, expected a text`);
  const fitted = fieldsOf(set['fitted'], 'fitted');
  const bounds = fitted['tokensMost'] === undefined ? ['paramsMost'] : ['paramsMost', 'tokensMost'];
  numbers(fitted, 'fitted.', bounds, false);
  const laws = Object.entries(coefficients).filter(([law]) => set[law] !== undefined);
  if (laws.length === 0) fail(`it has no law, expected one of ${Object.keys(coefficients).join(', ')}`);
  for (const [law, names] of laws) numbers(fieldsOf(set[law], law), `${law}.`, names, law === 'joint');
  if (set['granular'] !== undefined) numbers(set, '', ['expansion'], false);
  return set as unknown as LawSet;
}
