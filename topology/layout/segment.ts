import {
  flatLayout,
  isEmbedding,
  isPositionTable,
  type ElementRange,
  type FlatLayout,
  type Unit,
} from '@troupe/spec';

/** Consecutive units of a group that are computed together: their weights come, and their gradients go, at a time. */
export interface Segment extends ElementRange {
  /** Its place among those of the group. */
  readonly index: number;
  /** Its units in a buffer of their own. */
  readonly flat: FlatLayout;
}

/** Of units without a layer, the embedding is read in front of all layers, everything else behind them; a table of positions by all of a stream. */
function partOf(unit: Unit): number | string {
  if (isPositionTable(unit)) return `positions of ${unit.layer}`;
  return unit.layer ?? (isEmbedding(unit) ? 'embed' : 'tail');
}

/** The segments of a flat buffer in order: the embedding, each layer, in front of a stream's first its table of positions, what is behind the last one. */
export function segmentsOf({ units, starts }: FlatLayout): readonly Segment[] {
  const segments: Segment[] = [];
  let first = 0;
  units.forEach((unit, index) => {
    const next = units[index + 1];
    if (next !== undefined && partOf(next) === partOf(unit)) return;
    const from = starts[first] ?? 0;
    const flat = flatLayout(units.slice(first, index + 1));
    segments.push({ index: segments.length, from, to: from + flat.length, flat });
    first = index + 1;
  });
  return segments;
}

/** Rooms of a size for gathered weights: the next segment comes while the present one is computed with. */
export const WEIGHT_ROOMS = 2;

/** Rooms of a size for gradients: one is filled, one is full and waits until the rows of the next layer have left, one is being added. */
export const BUCKET_ROOMS = 3;

/**
 * Lengths of the buffers through which the segments of a group pass one after the other: `most` of every length that occurs, or fewer where
 * fewer segments have it.
 */
export function roomsFor(segments: readonly ElementRange[], most: number): readonly number[] {
  const counts = new Map<number, number>();
  for (const { from, to } of segments) counts.set(to - from, (counts.get(to - from) ?? 0) + 1);
  return [...counts].flatMap(([length, count]) =>
    Array.from({ length: Math.min(most, count) }, () => length),
  );
}

/** Of a segment what decides whether another one fits where it lay: how long its units are, and in which format they are read. */
export const formOf = ({ flat }: Segment, isRounded: (unit: Unit) => boolean): string =>
  flat.units.map((unit) => `${unit.paddedSize}${isRounded(unit) ? 'h' : ''}`).join(' ');

/** For each room of a window of gathered weights a segment that fits in: `WEIGHT_ROOMS` of every form, or fewer where fewer have it. */
export function windowOf(
  segments: readonly Segment[],
  isRounded: (unit: Unit) => boolean,
): readonly Segment[] {
  const counts = new Map<string, number>();
  return segments.filter((segment) => {
    const form = formOf(segment, isRounded);
    const count = (counts.get(form) ?? 0) + 1;
    counts.set(form, count);
    return count <= WEIGHT_ROOMS;
  });
}
