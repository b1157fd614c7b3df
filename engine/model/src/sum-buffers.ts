import { assert } from '@troupe/core';
import type { Floats } from '@troupe/kernel-set';
import type { Arena } from './arena.ts';

/**
 * Where a device keeps what segments add up to.
 *
 * SUM-3: what peers read is not written before they have read it. Two exchanges of a pass in a row use two of these, and a peer that sends
 * its share of an exchange has read those of the one before.
 */
export interface SumBuffers {
  /** One a segment. */
  readonly partials: readonly Floats[];
  /** The sum of this device's segments, which its peers get; the partial itself where there is one. Null without peers. */
  readonly share: Floats | null;
}

/** What is added up: by how many peers, in how many segments on this device. */
interface Summed {
  readonly peers: number;
  readonly held: number;
}

/** Of sums that have no parts. */
export const noSum: SumBuffers = { partials: [], share: null };

/** Buffers of `count` sums that come one after the other: partials are theirs in common where peers do not read them. */
export function sumBuffers(arena: Arena, { peers, held }: Summed, size: number, count = 1): SumBuffers[] {
  const isShare = peers > 1 && held === 1;
  const common = isShare ? [] : Array.from({ length: held }, () => arena.floats(size));
  return Array.from({ length: count }, () => {
    if (peers === 1) return { partials: common, share: null };
    const share = arena.floats(size);
    return { partials: isShare ? [share] : common, share };
  });
}

/** The buffer of a device's segment, by its place among those that the device holds. */
export function partialOf({ partials }: SumBuffers, held: number): Floats {
  const partial = partials[held];
  assert(partial !== undefined, 'every segment has room for its part of a sum', { held });
  return partial;
}
