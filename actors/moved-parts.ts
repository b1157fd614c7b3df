import type { HostFloats } from '@troupe/core';
import type { ElementRange } from '@troupe/spec';
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
      yield packed(waiting, elements);
      [waiting, elements] = [[], 0];
    }
    waiting.push(part);
    elements += length;
  }
  if (waiting.length > 0) yield packed(waiting, elements);
}

export function unpackedParts({ ranges, weights, m, v }: PackedParts): readonly MovedPart[] {
  const parts: MovedPart[] = [];
  let first = 0;
  for (let at = 0; at < ranges.length; at += 2) {
    const range = { from: Number(ranges[at]), to: Number(ranges[at + 1]) };
    const end = first + lengthOf(range);
    const state = {
      weights: weights.subarray(first, end),
      m: m.subarray(first, end),
      v: v.subarray(first, end),
    };
    parts.push({ range, state });
    first = end;
  }
  return parts;
}

function packed(parts: readonly MovedPart[], elements: number): PackedParts {
  const joined = (of: keyof ShardState): HostFloats => {
    const isWide = parts[0]?.state[of] instanceof Float64Array;
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
    m: joined('m'),
    v: joined('v'),
  };
}
