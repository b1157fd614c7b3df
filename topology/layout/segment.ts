import { flatLayout, type ElementRange, type FlatLayout, type Unit } from '@troupe/spec';

/** Consecutive units of a group that are computed together: their weights come, and their gradients go, at a time. */
export interface Segment extends ElementRange {
  /** Its place among those of the group. */
  readonly index: number;
  /** Its units in a buffer of their own. */
  readonly flat: FlatLayout;
}

/** Of units without a layer, the embedding is read in front of all layers, everything else behind them. */
const partOf = ({ layer, id }: Unit): number | string => layer ?? (id === 'embed' ? 'embed' : 'tail');

/** The segments of a flat buffer in order: the embedding, each layer, what is behind the last one. */
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

/**
 * Lengths of the buffers through which the segments of a group pass one after the other: of every length that occurs one, or two where
 * several segments have it, so that the next one comes, or the last one leaves, while the present one is computed.
 */
export function roomsFor(segments: readonly Segment[]): readonly number[] {
  const counts = new Map<number, number>();
  for (const { from, to } of segments) counts.set(to - from, (counts.get(to - from) ?? 0) + 1);
  return [...counts].flatMap(([length, count]) => Array.from({ length: Math.min(2, count) }, () => length));
}
