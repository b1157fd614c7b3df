import type { HostFloats } from '@troupe/core';
import type { ElementRange, OptimizerState } from '@troupe/spec';
import { lengthOf, MESSAGE_ELEMENTS } from './range.ts';
import type { ShardState } from './shard-state.ts';

/** A part of a shard's state, by where it lies for its receiver. */
export interface MovedPart {
  readonly range: ElementRange;
  readonly state: ShardState;
}

/** Parts one behind the other, as they travel: each begins and ends somewhere in the receiver's buffer. */
export interface PackedParts extends ShardState {
  readonly ranges: BigInt64Array;
}

/**
 * Parts in messages that are not too large: many small experts are few messages, and their memory is nobody else's, so that a receiver may
 * keep it.
 *
 * @param parts - each at most as large as a message
 */
export function* packedParts(parts: Iterable<MovedPart>): Generator<PackedParts> {
  let [waiting, elements]: [MovedPart[], number] = [[], 0];
  for (const part of parts) {
    const length = lengthOf(part.range);
    if (elements > 0 && elements + length > MESSAGE_ELEMENTS) {
      yield packed(waiting);
      [waiting, elements] = [[], 0];
    }
    waiting.push(part);
    elements += length;
  }
  if (waiting.length > 0) yield packed(waiting);
}

/** @param state - says how much of an optimizer's state a part has */
export function unpackedParts(
  { ranges, weights, first, second }: PackedParts,
  state: Pick<OptimizerState, 'rangeIn'>,
): readonly MovedPart[] {
  const parts: MovedPart[] = [];
  const ends = { weights: 0, first: 0, second: 0 };
  const next = (of: keyof ShardState, values: HostFloats, length: number): HostFloats => {
    ends[of] += length;
    return values.subarray(ends[of] - length, ends[of]);
  };
  for (let at = 0; at < ranges.length; at += 2) {
    const range = { from: Number(ranges[at]), to: Number(ranges[at + 1]) };
    parts.push({
      range,
      state: {
        weights: next('weights', weights, lengthOf(range)),
        first: next('first', first, lengthOf(state.rangeIn(0, range))),
        second: next('second', second, lengthOf(state.rangeIn(1, range))),
      },
    });
  }
  return parts;
}

function packed(parts: readonly MovedPart[]): PackedParts {
  const joined = (of: keyof ShardState): HostFloats => {
    const isWide = parts[0]?.state[of] instanceof Float64Array;
    const elements = parts.reduce((sum, { state }) => sum + state[of].length, 0);
    const all = isWide ? new Float64Array(elements) : new Float32Array(elements);
    let first = 0;
    for (const { state } of parts) {
      all.set(state[of], first);
      first += state[of].length;
    }
    return all;
  };
  return {
    ranges: BigInt64Array.from(parts.flatMap(({ range }) => [BigInt(range.from), BigInt(range.to)])),
    weights: joined('weights'),
    first: joined('first'),
    second: joined('second'),
  };
}
