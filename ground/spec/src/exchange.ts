import { assert } from '@troupe/core';
import { sliceBounds, type FlatLayout } from './parameters.ts';

/** Elements [from, to) of a flat buffer. */
export interface ElementRange {
  readonly from: number;
  readonly to: number;
}

/** One level of an exchange: peers whose positions differ by multiples of `stride` alone form a group of `size`. */
export interface ExchangeLevel {
  readonly size: number;
  readonly stride: number;
}

/** Peers of a group unless a topology says otherwise. */
export const DEFAULT_FANOUT = 8;

/**
 * In how many levels, and in what groups, the holders of one class of parameters add up gradients and spread weights.
 *
 * With n peers and groups of f, a device sends about f · log(n) / log(f) messages a step instead of n, and the same number of bytes: a group
 * adds up its leaves before anything leaves it, so each next level carries 1 / f of them. The first groups are the devices of one machine,
 * so what crosses machines shrinks by their number (as in hierarchical all-reduce). Sums are exact, so no level changes a number.
 *
 * @param numPeers - at least 1
 * @param options - `perMachine`: neighbours in order that share a machine, 1: unknown. `fanout`: most peers of a group, at least 2; only a
 * prime factor above it makes a larger one. 0: one group
 * @returns the sizes multiply to `numPeers`; one level when `fanout` allows it
 */
export function exchangeLevels(
  numPeers: number,
  { perMachine, fanout }: { readonly perMachine: number; readonly fanout: number },
): readonly ExchangeLevel[] {
  assert(fanout === 0 || fanout >= 2, 'groups have at least two peers', { fanout });
  if (fanout === 0 || numPeers <= fanout) return [{ size: numPeers, stride: 1 }];
  const inMachine = largestDivisor(greatestCommonDivisor(numPeers, perMachine), fanout);
  const sizes = inMachine > 1 ? [inMachine] : [];
  for (let rest = numPeers / inMachine; rest > 1; rest /= sizes.at(-1) ?? rest) {
    const size = largestDivisor(rest, fanout);
    sizes.push(size > 1 ? size : smallestFactor(rest));
  }
  let stride = 1;
  return sizes.map((size) => {
    const level = { size, stride };
    stride *= size;
    return level;
  });
}

/**
 * Cuts a range of a flat buffer into so many parts.
 *
 * @returns `parts` + 1 bounds, rising, the first and the last those of the range; a part may be empty
 */
export type Cut = (whole: ElementRange, parts: number) => readonly number[];

/** At multiples of NORM_BLOCK, as even as that allows. */
export const cutAtBlocks: Cut = ({ from, to }, parts) =>
  sliceBounds(to - from, parts).map((bound) => from + bound);

/**
 * Only where a unit begins, for optimizers that need whole tensors: so that the dearest part is as cheap as runs of whole units allow.
 *
 * Runs, not any units: a slice of a buffer is a range, from which exchange, buckets, copies and checkpoints take their bounds. Who owns
 * what enters no number.
 *
 * @param costs - of a step, by unit; the sum of each part is what is to be even
 */
export const cutAtUnits =
  ({ starts }: Pick<FlatLayout, 'starts'>, costs: readonly number[]): Cut =>
  ({ from, to }, parts) => {
    const within = starts.flatMap((start, unit) =>
      start >= from && start < to ? [{ start, cost: costs[unit] ?? 0 }] : [],
    );
    const total = within.reduce((sum, { cost }) => sum + cost, 0);
    let [low, high] = [within.reduce((most, { cost }) => Math.max(most, cost), total / parts), total];
    for (let round = 0; round < 40 && low < high; round++) {
      const middle = (low + high) / 2;
      if (runsWithin(within, middle).length <= parts) high = middle;
      else low = middle;
    }
    const bounds = runsWithin(within, high);
    return Array.from({ length: parts + 1 }, (_, part) => (part === 0 ? from : (bounds[part] ?? to)));
  };

/** Where runs of units begin that cost at most so much each, taken greedily; one that costs more is a run of its own. */
function runsWithin(
  units: readonly { readonly start: number; readonly cost: number }[],
  most: number,
): readonly number[] {
  const begins: number[] = [];
  let cost = Infinity;
  for (const unit of units) {
    if (cost + unit.cost > most) {
      begins.push(unit.start);
      cost = 0;
    }
    cost += unit.cost;
  }
  return begins;
}

/** Another peer of a group, and the part of the buffer that it completes there. */
export interface ExchangePeer {
  /** Among the peers of the class. */
  readonly position: number;
  readonly part: ElementRange;
}

/**
 * What one peer sends to whom. On its way down, level by level, it and its group divide the part that they have in common; on the way up
 * they put it together again.
 *
 * EXC-1: `part(0)` is the buffer, `part(numLevels)` the peer's own slice, each inside the one before; the slices of all peers make up
 * the buffer. EXC-2: within a group the parts of level l + 1 make up the part of level l that all its members share.
 */
export class Exchange {
  readonly numLevels: number;
  readonly #parts: readonly ElementRange[];
  readonly #groups: readonly (readonly ExchangePeer[])[];
  readonly #position: number;

  constructor(length: number, position: number, levels: readonly ExchangeLevel[], cut: Cut = cutAtBlocks) {
    this.numLevels = levels.length;
    this.#position = position;
    const parts: ElementRange[] = [{ from: 0, to: length }];
    this.#groups = levels.map(({ size, stride }) => {
      const whole = parts.at(-1) ?? { from: 0, to: 0 };
      const bounds = cut(whole, size);
      const own = Math.floor(position / stride) % size;
      const group = Array.from({ length: size }, (_, digit) => ({
        position: position + (digit - own) * stride,
        part: { from: bounds[digit] ?? whole.to, to: bounds[digit + 1] ?? whole.to },
      }));
      parts.push(group[own]?.part ?? whole);
      return group;
    });
    this.#parts = parts;
  }

  /** What is left to divide behind `level` levels. */
  part(level: number): ElementRange {
    const found = this.#parts[level];
    assert(found, 'a part belongs to a level', { level });
    return found;
  }

  /** All members of the peer's group at a level, itself among them, in the order of their parts. */
  group(level: number): readonly ExchangePeer[] {
    const found = this.#groups[level];
    assert(found, 'a group belongs to a level', { level });
    return found;
  }

  /** The same without the peer itself. */
  others(level: number): readonly ExchangePeer[] {
    return this.group(level).filter(({ position }) => position !== this.#position);
  }

  /** Elements of leaves and sums that come in at a level, those of the peer's own replica among them at level 0. */
  expected(level: number): number {
    const { from, to } = this.part(level + 1);
    const { length } = this.group(level);
    return (to - from) * (level === 0 ? length : length - 1);
  }
}

/**
 * The slice of every peer: what its `Exchange` is left with behind all levels, without making one for each.
 *
 * @returns in the order of the buffer
 */
export function exchangeSlices(
  length: number,
  levels: readonly ExchangeLevel[],
  cut: Cut = cutAtBlocks,
): readonly ExchangePeer[] {
  let peers: readonly ExchangePeer[] = [{ position: 0, part: { from: 0, to: length } }];
  for (const { size, stride } of levels)
    peers = peers.flatMap(({ position, part }) => {
      const bounds = cut(part, size);
      return Array.from({ length: size }, (_, digit) => ({
        position: position + digit * stride,
        part: { from: bounds[digit] ?? part.to, to: bounds[digit + 1] ?? part.to },
      }));
    });
  return peers;
}

/** Of whole numbers that are not negative; with 0 the other one. */
export function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Of `value`, not above `most`; 1 when there is no other. */
function largestDivisor(value: number, most: number): number {
  for (let divisor = Math.min(value, most); divisor > 1; divisor--) if (value % divisor === 0) return divisor;
  return 1;
}

function smallestFactor(value: number): number {
  for (let factor = 2; factor * factor <= value; factor++) if (value % factor === 0) return factor;
  return value;
}
