import { assert } from '@troupe/core';
import { permutation } from '../permutation.ts';
import { root } from './root.ts';

/** Places of a cycle: shares are multiples of 1/4,096. */
export const CYCLE = 4096;

/**
 * Whole places of a cycle in proportion to shares: the largest remainder, ties to the lower part, at least one each.
 *
 * @param shares - > 0, any scale; at most {@link CYCLE} of them
 */
export function quotasOf(shares: readonly number[]): readonly number[] {
  assert(shares.length >= 1 && shares.length <= CYCLE, 'a cycle has a place for each part', {
    parts: shares.length,
  });
  let total = 0;
  for (const share of shares) {
    assert(share > 0 && Number.isFinite(share), 'a share is positive', { share });
    total += share;
  }
  const exact = shares.map((share) => (share / total) * CYCLE);
  const quotas = exact.map(Math.floor);
  const left = CYCLE - quotas.reduce((sum, quota) => sum + quota, 0);
  const remainder = (part: number): number => (exact[part] ?? 0) - (quotas[part] ?? 0);
  const byRemainder = [...quotas.keys()].sort((a, b) => remainder(b) - remainder(a) || a - b);
  for (const part of byRemainder.slice(0, left)) quotas[part] = (quotas[part] ?? 0) + 1;
  for (const part of quotas.keys()) {
    if (quotas[part] !== 0) continue;
    const largest = quotas.indexOf(Math.max(...quotas));
    quotas[largest] = (quotas[largest] ?? 0) - 1;
    quotas[part] = 1;
  }
  return quotas;
}

/**
 * Places of a cycle by temperature: p ∝ size^(1/temperature). 1: in proportion to size; the higher, the more even.
 *
 * @param sizes - ≥ 1
 * @see Arivazhagan et al. 2019, arXiv:1907.05019
 */
export const temperatureQuotas = (sizes: readonly number[], temperature: number): readonly number[] =>
  quotasOf(sizes.map((size) => root(size, temperature)));

/** Whose turn a place is, and the how manieth of that part it is, counted from 0 over all cycles. */
export interface Turn {
  readonly part: number;
  readonly index: number;
}

/**
 * Parts that take turns in an endless order: in each cycle of {@link CYCLE} places, each part has as many as its quota, in a permutation of
 * the cycle's own. A place needs its own cycle alone.
 */
export class Turns {
  readonly #quotas: readonly number[];
  readonly #key: { readonly seed: number; readonly purpose: string; readonly sequence: number };
  #cycle = -1;
  /** Part of each place of the cycle, and how many places before it are of the same. */
  readonly #parts = new Int16Array(CYCLE);
  readonly #ranks = new Int16Array(CYCLE);

  /** @param key - `sequence` tells one list of parts from another of the same purpose */
  constructor(
    quotas: readonly number[],
    key: { readonly seed: number; readonly purpose: string; readonly sequence: number },
  ) {
    const total = quotas.reduce((sum, quota) => sum + quota, 0);
    assert(total === CYCLE, 'quotas fill a cycle', { total });
    this.#quotas = quotas;
    this.#key = key;
  }

  at(place: number): Turn {
    assert(Number.isInteger(place) && place >= 0, 'places are counted from 0', { place });
    const cycle = Math.floor(place / CYCLE);
    if (cycle !== this.#cycle) this.#deal(cycle);
    const part = this.#parts[place % CYCLE] ?? 0;
    return { part, index: cycle * (this.#quotas[part] ?? 0) + (this.#ranks[place % CYCLE] ?? 0) };
  }

  #deal(cycle: number): void {
    const order = permutation(CYCLE, { ...this.#key, step: cycle });
    const owners = this.#quotas.flatMap((quota, part) => Array.from({ length: quota }, () => part));
    const dealt = this.#quotas.map(() => 0);
    for (let place = 0; place < CYCLE; place++) {
      const part = owners[order(place)] ?? 0;
      const rank = dealt[part] ?? 0;
      this.#parts[place] = part;
      this.#ranks[place] = rank;
      dealt[part] = rank + 1;
    }
    this.#cycle = cycle;
  }
}
