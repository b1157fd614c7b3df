import { OptionError, shownValue } from '@troupe/core';
import { nearestName } from '@troupe/topology';

/** What an option must be. */
export interface OptionRule {
  /** In words, for the message. */
  readonly expected: string;
  readonly isRequired?: boolean;
  /** Sentences about what is wrong; none: it is right. */
  problems(value: unknown, name: string): readonly string[];
}

/** A rule for every member of an options object, so that none is forgotten. */
export type OptionRules<T> = { readonly [K in keyof T]-?: OptionRule };

/** @param holds - never called with `undefined`: an option that is absent has its default */
export const rule = (expected: string, holds: (value: unknown) => boolean): OptionRule => ({
  expected,
  problems: (value, name) => (holds(value) ? [] : [`${name} is ${shownValue(value)}, expected ${expected}`]),
});

export const required = (of: OptionRule): OptionRule => ({ ...of, isRequired: true });

/** @param unit - what it counts, or what follows from it */
export const wholeNumber = (least: number, unit: string): OptionRule =>
  rule(
    `a whole number of at least ${least} (${unit})`,
    (value) => Number.isSafeInteger(value) && (value as number) >= least,
  );

export const positive = (unit: string): OptionRule =>
  rule(
    `a number above 0 (${unit})`,
    (value) => typeof value === 'number' && Number.isFinite(value) && value > 0,
  );

export const flag = rule('true or false', (value) => typeof value === 'boolean');
export const text = (what: string): OptionRule =>
  rule(what, (value) => typeof value === 'string' && value !== '');
export const bytes = rule('a Uint8Array', (value) => value instanceof Uint8Array);
export const callback = rule('a function', (value) => typeof value === 'function');

export const oneOf = (...values: readonly string[]): OptionRule =>
  rule(`one of ${values.join(', ')}`, (value) => typeof value === 'string' && values.includes(value));

export const orNull = (of: OptionRule): OptionRule => ({
  expected: `${of.expected}, or null`,
  problems: (value, name) =>
    value === null
      ? []
      : of.problems(value, name).map((each) => (each.endsWith(of.expected) ? `${each}, or null` : each)),
});

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  (typeof value === 'object' || typeof value === 'function') && value !== null;

/** An object of somebody's own class: only the methods that are called are looked at. */
export const objectWith = (what: string, ...methods: readonly string[]): OptionRule => ({
  expected: what,
  problems: (value, name) => {
    if (!isObject(value)) return [`${name} is ${shownValue(value)}, expected ${what}`];
    const missing = methods.filter((method) => typeof value[method] !== 'function');
    return missing.length === 0
      ? []
      : [`${name} has no method ${missing.map((each) => `${each}()`).join(', ')}, expected ${what}`];
  },
});

export const storage = objectWith('a storage, such as fileStorage gives', 'read', 'create', 'list', 'rename');

/** Several rules about one value; those after the first that finds something are not asked. */
export const all = (...rules: readonly [OptionRule, ...OptionRule[]]): OptionRule => ({
  expected: rules[0].expected,
  problems: (value, name) => {
    for (const each of rules) {
      const problems = each.problems(value, name);
      if (problems.length > 0) return problems;
    }
    return [];
  },
});

export const listOf = (of: OptionRule, what: string): OptionRule => ({
  expected: what,
  problems: (value, name) =>
    Array.isArray(value)
      ? value.flatMap((each: unknown, index) => of.problems(each, `${name}[${index}]`))
      : [`${name} is ${shownValue(value)}, expected ${what}`],
});

/** Members of an object that has some more. */
export const member = (key: string, of: OptionRule): OptionRule => ({
  expected: of.expected,
  problems: (value, name) => of.problems((value as Readonly<Record<string, unknown>>)[key], `${name}.${key}`),
});

/** An object of options: known members only, each by its rule. */
export const options = (rules: Readonly<Record<string, OptionRule>>): OptionRule => ({
  expected: 'an object of options',
  problems: (value, name) => {
    if (!isObject(value) || Array.isArray(value))
      return [`${name || 'options'} is ${shownValue(value)}, expected an object of options`];
    const path = (key: string): string => (name === '' ? key : `${name}.${key}`);
    const unknown = Object.keys(value)
      .filter((key) => !Object.hasOwn(rules, key))
      .map((key) => {
        const nearest = nearestName(key, Object.keys(rules));
        return `there is no option ${path(key)}${nearest === null ? '' : `; did you mean ${path(nearest)}?`}`;
      });
    const wrong = Object.entries(rules).flatMap(([key, each]) => {
      const found = value[key];
      if (found !== undefined) return each.problems(found, path(key));
      return each.isRequired === true ? [`${path(key)} is missing, expected ${each.expected}`] : [];
    });
    return [...unknown, ...wrong];
  },
});

/**
 * Checks the options of a function, all of them, before it does anything.
 *
 * @throws {OptionError} TROUPE_OPTION with everything that is wrong
 */
export function checkOptions<T extends object>(caller: string, given: T, rules: OptionRules<T>): void {
  check(caller, '', given, options(rules));
}

/** The same for a single argument. */
export function check(caller: string, name: string, value: unknown, of: OptionRule): void {
  const problems =
    value === undefined
      ? [`${name || 'options'} is missing, expected ${of.expected}`]
      : of.problems(value, name);
  if (problems.length > 0) throw new OptionError(caller, problems);
}

export const checkpointReader = all(
  objectWith('a checkpoint, such as openCheckpoint gives', 'read'),
  member('manifest', objectWith('the manifest of a checkpoint')),
);

const topologyKeys = ['model', 'data', 'train', 'parallel', 'machines', 'file'];

/** What `loadTopology` gives; its name or its file is not enough. */
const resolvedTopology: OptionRule = {
  expected: 'a topology as loadTopology gives it',
  problems: (value, name) =>
    isObject(value) && topologyKeys.every((key) => isObject(value[key]))
      ? []
      : [
          `${name} is ${shownValue(value)}, expected what loadTopology gives${typeof value === 'string' ? `: pass loadTopology(${shownValue(value)})` : ''}`,
        ],
};

export const checkTopology = (caller: string, topology: unknown): void =>
  check(caller, 'topology', topology, resolvedTopology);
