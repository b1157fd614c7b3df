import { assert, type Address } from '@troupe/core';
import type { Device, ExactSum } from '@troupe/kernel-set';
import type { Segment } from '@troupe/topology/layout';
import { assertWithin, intersect, lengthOf, type Range } from '../gradients.ts';

/** A part of a segment that came in one message. */
export interface Arrival extends Range {
  readonly level: number;
  readonly step: number;
  readonly microbatch: number;
}

/** The sum of a group at one level: of a part of one segment, in one microbatch. */
export interface LevelSum extends Range {
  readonly key: string;
  readonly sum: ExactSum;
  /** Elements of all members. */
  readonly expected: number;
  /** Elements that the device has added. */
  added: number;
  /** What came, for its senders to be answered. */
  readonly arrivals: { readonly from: Address; readonly part: Arrival }[];
  /** Receivers of the sum that have not added it yet. */
  awaited: number;
}

/**
 * Sums of groups on their way to the next level, where gradients come in buckets.
 *
 * GRD-4: the sum of a group is a bucket of its own: it takes leaves of one segment and microbatch until every member's are in it, then it goes
 * on, and when those of the next level have answered it is free and its members are answered. So who is ahead of its group waits for it, and
 * no more sums are open than a member has buckets.
 */
export class LevelSums {
  readonly #device: Device;
  readonly #segments: readonly Segment[];
  readonly #free: ExactSum[] = [];
  readonly #open = new Map<string, LevelSum>();

  constructor(device: Device, segments: readonly Segment[]) {
    this.#device = device;
    this.#segments = segments;
  }

  /**
   * The sum that a part belongs to; the first part opens it.
   *
   * @param completes - what this shard sums up at that level, and of how many members
   */
  of(arrival: Arrival, completes: Range & { readonly members: number }): LevelSum {
    const segment = this.#segments.find(({ from, to }) => from <= arrival.from && arrival.to <= to);
    const range = segment && intersect(segment, completes);
    assert(segment && range, 'a part of a bucket is of one segment (GRD-4)', {
      from: arrival.from,
      to: arrival.to,
    });
    assertWithin(arrival, range, 'what is added is of the part that this shard completes (EXP-2)');
    const { level, step, microbatch } = arrival;
    const key = `${step}/${level}/${segment.index}/${microbatch}`;
    let found = this.#open.get(key);
    if (found === undefined) {
      const sum = this.#take(lengthOf(range));
      const expected = completes.members * lengthOf(range);
      found = { ...range, key, sum, expected, added: 0, arrivals: [], awaited: 0 };
      this.#open.set(key, found);
    }
    return found;
  }

  /** Its memory is used again. */
  free({ key, sum }: LevelSum): void {
    this.#open.delete(key);
    this.#free.push(sum);
  }

  /** The attempt is over: what the device still adds, it adds in front of what comes next. */
  abandon(): void {
    for (const each of this.#open.values()) this.free(each);
  }

  #take(length: number): ExactSum {
    const at = this.#free.findIndex(({ values }) => values.length === length);
    const [found] = at < 0 ? [] : this.#free.splice(at, 1);
    return found ?? { values: this.#device.int64s(length), overflow: this.#device.ints(1) };
  }
}
