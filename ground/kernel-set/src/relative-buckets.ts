import { InvariantError } from '@troupe/core';

/** How distances between positions are put into buckets. */
export interface RelativeBuckets {
  /** 2 to {@link MOST_BUCKETS}; bidirectional: half of them for keys behind the query. */
  readonly buckets: number;
  readonly bidirectional: boolean;
  /** Distances from here on share the last bucket; more than half the buckets of a direction. */
  readonly maxDistance: number;
}

/** Buckets that a table may have. */
export const MOST_BUCKETS = 256;
/** Largest `maxDistance`. */
export const MOST_DISTANCE = 2 ** 20;

/** Buckets of one direction, and how many of them hold a single distance. */
function counts({ buckets, bidirectional }: RelativeBuckets): {
  readonly own: number;
  readonly exact: number;
} {
  const own = bidirectional ? Math.floor(buckets / 2) : buckets;
  return { own, exact: Math.floor(own / 2) };
}

/** What is wrong with such buckets; null: nothing. */
export function bucketsMistake(relative: RelativeBuckets): string | null {
  const { buckets, bidirectional, maxDistance } = relative;
  const least = bidirectional ? 4 : 2;
  if (!Number.isSafeInteger(buckets) || buckets < least || buckets > MOST_BUCKETS)
    return `buckets is ${buckets}, expected ${least} to ${MOST_BUCKETS}`;
  const { exact } = counts(relative);
  if (!Number.isSafeInteger(maxDistance) || maxDistance <= exact || maxDistance > MOST_DISTANCE)
    return `maxDistance is ${maxDistance}, expected ${exact + 1} to ${MOST_DISTANCE}`;
  return null;
}

/**
 * The least distance of each bucket of one direction. The first half of them hold one distance each; behind it bucket j begins at the least n
 * with n^(nb-m)·m^j' ≥ m^(nb-m)·maxDistance^j', j' = j - m: the logarithm of T5, in integers, so that it is the same on every machine.
 *
 * @see Raffel et al. 2019, arXiv:1910.10683, §2.1
 */
export function bucketStarts(relative: RelativeBuckets): readonly number[] {
  const mistake = bucketsMistake(relative);
  if (mistake !== null) throw new InvariantError(mistake);
  const { own, exact } = counts(relative);
  const [half, most, far] = [BigInt(own - exact), BigInt(exact), BigInt(relative.maxDistance)];
  const starts = Array.from({ length: exact + 1 }, (_, n) => n);
  for (let bucket = exact + 1; bucket < own; bucket++) {
    const j = BigInt(bucket - exact);
    const [scale, needed] = [most ** j, most ** half * far ** j];
    let [below, start] = [starts.at(-1)! - 1, relative.maxDistance];
    while (start - below > 1) {
      const middle = Math.floor((below + start) / 2);
      if (BigInt(middle) ** half * scale >= needed) start = middle;
      else below = middle;
    }
    starts.push(start);
  }
  return starts;
}

/** The bucket of a distance, key position - query position. Causal: every key behind the query counts as distance 0. */
export function bucketOf(relative: RelativeBuckets): (distance: number) => number {
  const starts = bucketStarts(relative);
  const { own } = counts(relative);
  const count = (n: number): number => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= n) low = middle;
      else high = middle;
    }
    return low;
  };
  if (!relative.bidirectional) return (distance) => count(Math.max(-distance, 0));
  return (distance) => count(Math.abs(distance)) + (distance > 0 ? own : 0);
}
