import { assert } from '@troupe/core';
import { RoundedWeights, WeightArrays, type UnitWeights, type WeightSlice } from '@troupe/model';
import type { ElementRange } from '@troupe/spec';
import { formOf, windowOf, type ParameterGroup, type Segment } from '@troupe/topology/layout';
import { assertWithin, lengthOf } from './range.ts';
import { roundsIn, type WeightSource } from './weight-source.ts';
import type { Worker } from './worker.ts';

/** Room for a segment, and what is in it. */
interface Room {
  readonly arrays: WeightArrays;
  /** What fits in: segments of one form. */
  readonly form: string;
  /** Of the segments that were in it. */
  readonly views: Map<number, UnitWeights>;
  segment: Segment | null;
  version: number;
  /** Elements that are still on their way. */
  missing: number;
  /** Passes that compute with it now. */
  users: number;
  /** When it was claimed last. */
  turn: number;
}

/** What came of claiming a segment: whether it has to be gathered first, by whoever claimed it. */
export type Claim = 'here' | 'coming' | 'gather';

/**
 * Weights of a group that are gathered segment by segment from those that own them, into a window.
 *
 * REP-3: a room is claimed for another segment only when nobody computes with it and all that was asked for it has come; a unit is read
 * only while a pass holds its segment. So a segment stays as it is from `segment.ready` to `segment.left`, and what comes late never
 * lands in another one.
 */
export class GatheredWeights implements WeightSource {
  readonly kind = 'gathered';
  readonly #rooms: readonly Room[];
  readonly #segments: readonly Segment[];
  readonly #segmentOf: ReadonlyMap<string, Segment>;
  readonly #formOf: (segment: Segment) => string;
  #turn = 0;

  constructor({ device, job }: Worker, group: ParameterGroup) {
    const { segments } = group;
    const isRounded = roundsIn(job, group);
    this.#segments = segments;
    this.#segmentOf = new Map(
      segments.flatMap((segment) => segment.flat.units.map(({ id }) => [id, segment] as const)),
    );
    this.#formOf = (segment) => formOf(segment, isRounded);
    this.#rooms = windowOf(segments, isRounded).map((segment) => ({
      arrays: new WeightArrays(device, segment.flat, isRounded),
      form: formOf(segment, isRounded),
      views: new Map<number, UnitWeights>(),
      segment: null,
      version: -1,
      missing: 0,
      users: 0,
      turn: 0,
    }));
  }

  at(version: number): UnitWeights {
    const of = (unitId: string): UnitWeights => this.#read(unitId, version);
    return {
      view: (unitId) => of(unitId).view(unitId),
      operand: (unitId) => of(unitId).operand(unitId),
      part: (unitId, index) => of(unitId).part(unitId, index),
      span: (first, last) => of(first).span(first, last),
    };
  }

  /** Looks for a segment, or makes room for it; null: all rooms of its size are in use. */
  claim(segment: Segment, version: number): Claim | null {
    const found = this.#find(segment.index, version);
    if (found !== undefined) {
      found.turn = ++this.#turn;
      return found.missing === 0 ? 'here' : 'coming';
    }
    const free = this.#rooms
      .filter(({ form, users, missing }) => form === this.#formOf(segment) && users === 0 && missing === 0)
      .toSorted((a, b) => a.turn - b.turn)[0];
    if (free === undefined) return null;
    free.segment = segment;
    free.version = version;
    free.missing = lengthOf(segment);
    free.turn = ++this.#turn;
    return 'gather';
  }

  /** Where a part of a claimed segment goes: the arrays that it lies in. */
  room(segment: Segment, version: number, { from, to }: ElementRange): readonly WeightSlice[] {
    const found = this.#find(segment.index, version);
    assert(found, 'weights come for a room that waits for them (REP-3)', { segment: segment.index, version });
    assertWithin({ from, to }, segment, 'weights come for a room that waits for them (REP-3)');
    return found.arrays.slices(from - segment.from, to - segment.from);
  }

  /** So many elements have come. @returns whether the segment is complete */
  came(segment: Segment, version: number, elements: number): boolean {
    const found = this.#find(segment.index, version);
    assert(found !== undefined && found.missing >= elements, 'weights come once (REP-3)', {
      segment: segment.index,
      version,
    });
    found.missing -= elements;
    return found.missing === 0;
  }

  /** A pass computes with it from now on. */
  hold(segment: Segment, version: number): void {
    const found = this.#find(segment.index, version);
    assert(found?.missing === 0, 'a segment that is computed with is complete (REP-3)', {
      segment: segment.index,
      version,
    });
    found.users++;
  }

  leave(segment: Segment, version: number): void {
    const found = this.#find(segment.index, version);
    assert(found !== undefined && found.users > 0, 'a segment is left once by each pass that holds it', {
      segment: segment.index,
      version,
    });
    found.users--;
  }

  /** Whose part a segment range is. */
  segmentAt(from: number): Segment {
    const found = this.#segments.find((segment) => segment.from <= from && from < segment.to);
    assert(found, 'weights lie in a segment', { from });
    return found;
  }

  /** The attempt is over: nothing that was asked for comes any more. */
  clear(): void {
    for (const room of this.#rooms) {
      room.segment = null;
      room.version = -1;
      room.missing = 0;
      room.users = 0;
    }
  }

  #find(index: number, version: number): Room | undefined {
    return this.#rooms.find((room) => room.segment?.index === index && room.version === version);
  }

  #read(unitId: string, version: number): UnitWeights {
    const segment = this.#segmentOf.get(unitId);
    const room = segment && this.#find(segment.index, version);
    const isHeld = room !== undefined && room.missing === 0 && room.users > 0;
    assert(segment !== undefined && isHeld, 'a unit is read while a pass holds its segment (REP-3)', {
      unitId,
      version,
    });
    let views = room.views.get(segment.index);
    if (views === undefined) {
      views = new RoundedWeights(segment.flat, room.arrays);
      room.views.set(segment.index, views);
    }
    return views;
  }
}
