import { assert, prng, type DrawKey } from '@troupe/core';

/** Places are the low digits of what is sorted: draws of 32 bits and places of 20 fit a double. */
const PLACES_MAX = 2 ** 20;

/**
 * `count` of the places 0 … places-1, ascending: those with the smallest (draw, place). Every subset is as likely as every other.
 */
export function smallestDraws(places: number, count: number, key: DrawKey): Int32Array {
  assert(count >= 0 && count <= places && places <= PLACES_MAX, 'a choice of at most 2^20 places', {
    places,
    count,
  });
  if (count === 0) return new Int32Array(0);
  const draws = prng(key);
  const keyed = Float64Array.from({ length: places }, (_, place) => draws.bits(place) * PLACES_MAX + place);
  const chosen = Int32Array.from(keyed.sort().subarray(0, count), (each) => each % PLACES_MAX);
  return chosen.sort();
}
