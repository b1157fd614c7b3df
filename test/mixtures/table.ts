import { prng } from '@troupe/core';
import {
  axesOf,
  factorNames,
  factors,
  isLegal,
  drawnModels,
  usual,
  worldOf,
  type FactorName,
  type Mixture,
} from './mixture.ts';

/** Largest number of workers in a mixture. */
const MOST_WORKERS = 24;
/** Mixtures in which pp, dp and tp are all above 1. */
const WITH_ALL_AXES = 20;
/** Mixtures of every model. */
const OF_EACH_MODEL = 4;
/** Those of them in which stages have different layers. */
const OF_EACH_MODEL_OVER_STAGES = 3;

type Decided = Partial<Mixture>;

/** Values of two factors, as one word. */
const pairOf = (a: FactorName, left: unknown, b: FactorName, right: unknown): string =>
  `${a} ${String(left)}, ${b} ${String(right)}`;

/** Pairs of values that are decided. */
function pairsOf(mixture: Decided): readonly string[] {
  const names = factorNames.filter((name) => mixture[name] !== undefined);
  return names.flatMap((a, index) => names.slice(index + 1).map((b) => pairOf(a, mixture[a], b, mixture[b])));
}

const isSmall = ({ pp = 1, dp = 1, tp = 1, ep = 1, apart = 0 }: Decided): boolean =>
  worldOf({ pp, dp, tp, ep, apart }) <= MOST_WORKERS;

/** What the table is made from. */
type Factor = Exclude<keyof Mixture, 'rows' | 'optimizer'>;

/** What is left to decide, in an order in which dead ends are seen early. */
const order: readonly Factor[] = [
  'pp',
  'dp',
  'tp',
  'pipeline',
  'microbatches',
  'model',
  'ep',
  'zero',
  'offload',
  'recompute',
  'experts',
  'rankOrder',
  'apart',
  'sliced',
  'segments',
  'precision',
];

const domains: { readonly [K in Factor]: readonly Mixture[K][] } = {
  ...factors,
  model: drawnModels,
  segments: [1, 4],
  precision: ['f32', 'bf16'],
};

/** Draws that depend on nothing but how many there were before. */
class Draws {
  readonly #prng = prng({ seed: 19, purpose: 'mixtures' });
  #count = 0;

  shuffled<T>(values: readonly T[]): readonly T[] {
    return values
      .map((value) => ({ value, at: this.#prng.bits(this.#count++) }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ value }) => value);
  }
}

/** Grows the table one mixture at a time, each taking along as many pairs that no earlier one has as a greedy choice finds. */
class Table {
  readonly mixtures: Mixture[] = [];
  readonly #draws = new Draws();
  readonly #seen = new Set<string>();

  add(mixture: Mixture): void {
    this.mixtures.push(mixture);
    for (const pair of pairsOf(mixture)) this.#seen.add(pair);
  }

  has(pair: string): boolean {
    return this.#seen.has(pair);
  }

  count(holds: (mixture: Mixture) => boolean): number {
    return this.mixtures.filter(holds).length;
  }

  /** Decides the rest; null: nothing legal has what is decided. */
  complete(decided: Decided): Mixture | null {
    if (!isLegal(decided) || !isSmall(decided)) return null;
    const key = order.find((each) => decided[each] === undefined);
    if (key === undefined) return decided as Mixture;
    for (const value of this.#ranked(key, decided)) {
      const found = this.complete({ ...decided, [key]: value });
      if (found !== null) return found;
    }
    return null;
  }

  /** Values of a factor, those with most new pairs first, and of the others those that were used least. */
  #ranked(key: Factor, decided: Decided): readonly unknown[] {
    const worth = (value: unknown): number =>
      key in factors
        ? pairsOf({ ...decided, [key]: value }).filter((pair) => !this.#seen.has(pair)).length
        : -this.count((each) => each[key] === value);
    return this.#draws
      .shuffled<unknown>(domains[key])
      .map((value) => ({ value, worth: worth(value) }))
      .toSorted((a, b) => b.worth - a.worth)
      .map(({ value }) => value);
  }
}

/**
 * The mixtures of the literature: E, E+D, E+Z, E+D+M, E+D+Z and E+Z-Off+M.
 *
 * @see arXiv:2109.10465, table 1
 */
export const published: readonly Mixture[] = [
  { ...usual, dp: 2, ep: 2 },
  { ...usual, dp: 6, ep: 2 },
  { ...usual, dp: 6, ep: 3, zero: 2 },
  { ...usual, dp: 2, ep: 2, tp: 2, segments: 4 },
  { ...usual, dp: 6, ep: 3, tp: 2, zero: 2, segments: 4 },
  { ...usual, dp: 2, ep: 2, tp: 2, zero: 2, offload: 'optimizer', segments: 4 },
];

/** Pairs of values that some mixture can have, each with what it decides. */
export function legalPairs(): ReadonlyMap<string, Mixture> {
  const empty = new Table();
  const pairs = new Map<string, Mixture>();
  for (const [index, a] of factorNames.entries())
    for (const b of factorNames.slice(index + 1))
      for (const left of factors[a])
        for (const right of factors[b]) {
          const found = empty.complete({ [a]: left, [b]: right });
          if (found !== null) pairs.set(pairOf(a, left, b, right), found);
        }
  return pairs;
}

/** A model on as many axes as the table needs more of. */
function* wanted(table: Table): Generator<Decided> {
  for (const model of drawnModels)
    while (table.count((each) => each.model === model) < OF_EACH_MODEL) yield { model };
  for (const model of drawnModels)
    for (const pp of [2, 3, 2] as const)
      if (table.count((each) => each.model === model && each.pp > 1) < OF_EACH_MODEL_OVER_STAGES)
        yield { model, pp };
  for (const [pp, dp, tp] of [
    [2, 2, 2],
    [3, 2, 2],
    [2, 3, 2],
    [2, 2, 4],
    [3, 2, 4],
    [2, 6, 2],
    [2, 3, 4],
    [3, 3, 2],
  ] as const)
    if (table.count((each) => axesOf(each) === 3) < WITH_ALL_AXES) yield { pp, dp, tp };
}

/**
 * Every mixture that is tried: those of the literature, then as many as it takes for every legal pair of values to occur, and for enough of
 * each model and of three axes at once.
 */
function tableOf(): readonly Mixture[] {
  const table = new Table();
  for (const mixture of published) table.add(mixture);
  const take = (decided: Decided): void => {
    const found = table.complete(decided);
    if (found !== null) table.add(found);
  };
  for (const [pair, { ...mixture }] of legalPairs()) {
    if (table.has(pair)) continue;
    const names = factorNames.filter((name) => pair.split(', ').some((each) => each.startsWith(`${name} `)));
    take(Object.fromEntries(names.map((name) => [name, mixture[name]])));
  }
  for (;;) {
    const before = table.mixtures.length;
    for (const decided of wanted(table)) take(decided);
    if (table.mixtures.length === before) return table.mixtures;
  }
}

/** Those of the literature send rows at once, the others in chunks where their experts are elsewhere: of few sequences that is one. */
export const mixtures: readonly Mixture[] = tableOf().map((mixture, index) =>
  (mixture.ep > 1 || mixture.apart > 0) && index >= published.length
    ? { ...mixture, rows: 'chunks' }
    : mixture,
);
