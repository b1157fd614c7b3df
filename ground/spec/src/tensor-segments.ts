import { assert } from '@troupe/core';

/**
 * Segments [from, to) of the `count` into which the tensor axis cuts every matrix that it divides.
 *
 * A segment is computed by calls of its own, on whatever device, and what several segments add to is added as one tree. So numbers depend
 * on `count` and never on how many devices hold the segments.
 *
 * @see exact.md E7 of the blueprint
 */
export interface TensorSegments {
  readonly count: number;
  readonly from: number;
  readonly to: number;
}

/** One segment of `count`. */
export interface Segment {
  readonly count: number;
  readonly index: number;
}

/** Elements [from, to) along one dimension. */
export interface SegmentRange {
  readonly from: number;
  readonly to: number;
}

/** Of a device that holds matrices whole. */
export const wholeTensors: TensorSegments = { count: 1, from: 0, to: 1 };

/**
 * The segments of tensor rank `rank`.
 *
 * @param axis - `tp` peers; `segments`: `train.tensorSegments`, 1: as many as there are peers, so numbers depend on `tp`
 */
export function segmentsOf(
  { tp, segments }: { readonly tp: number; readonly segments: number },
  rank: number,
): TensorSegments {
  const count = segments === 1 ? tp : segments;
  assert(count % tp === 0 && rank < tp, 'peers hold equally many segments', { tp, segments, rank });
  const each = count / tp;
  return { count, from: rank * each, to: (rank + 1) * each };
}

/** Of a run, what decides how its tensors are divided. */
export interface TensorAxis {
  readonly tp: number;
  /** `train.tensorSegments`. */
  readonly segments: number;
  /** `parallel.expertsSliced`: experts are divided over peers too. */
  readonly expertsSliced: boolean;
}

/**
 * The segments of routed experts that tensor rank `rank` has. Where they are not divided over the peers it has all of them: with segments
 * that a run names as many, since these are part of its numbers, else experts are in one piece.
 */
export function expertSegmentsOf(axis: TensorAxis, rank: number): TensorSegments {
  if (axis.expertsSliced) return segmentsOf(axis, rank);
  return { count: axis.segments, from: 0, to: axis.segments };
}

/** The segments one by one. */
export const eachSegment = ({ count, from, to }: TensorSegments): readonly Segment[] =>
  Array.from({ length: to - from }, (_, held) => ({ count, index: from + held }));

/** Which of `total` rows (columns, heads) a segment has: as even as whole ones allow, the longer ones last. */
export const rangeOfSegment = ({ count, index }: Segment, total: number): SegmentRange => ({
  from: Math.floor((index * total) / count),
  to: Math.floor(((index + 1) * total) / count),
});

/** The key/value heads that the query heads of a segment read; with fewer heads than segments several segments read one. */
export function kvHeadsOfSegment({ count, index }: Segment, kvHeads: number): SegmentRange {
  if (count <= kvHeads) return rangeOfSegment({ count, index }, kvHeads);
  const head = Math.floor((index * kvHeads) / count);
  return { from: head, to: head + 1 };
}

/** The id of a unit's segment; of a unit that is not divided its own. */
export const segmentId = (unitId: string, { count, index }: Segment): string =>
  count === 1 ? unitId : `${unitId}#${index}`;
