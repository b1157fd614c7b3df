import type { Parameter } from './parameters.ts';
import type { SegmentRange } from './tensor-segments.ts';

/** Some elements of a parameter, and where they lie in the whole tensor. */
export interface PartBlock {
  /** First element in the parameter. */
  readonly at: number;
  /** First element in the whole tensor. */
  readonly firstIndex: number;
  readonly rows: number;
  readonly rowLength: number;
  /** From one row to the next in the whole tensor. */
  readonly rowStride: number;
}

/**
 * Elements [from, to) of a parameter, as blocks of the tensor that it is a part of: one of consecutive elements, except for a part of
 * its columns, of which a range may begin and end inside a row.
 */
export function blocksOfPart({ size, place }: Parameter, range: SegmentRange): readonly PartBlock[] {
  const [from, to] = [Math.max(0, range.from), Math.min(size, range.to)];
  if (from >= to) return [];
  const run = (at: number, length: number, firstIndex: number): PartBlock => ({
    at,
    firstIndex,
    rows: 1,
    rowLength: length,
    rowStride: length,
  });
  if (place === null) return [run(from, to - from, from)];
  const [, stride = 1] = place.shape;
  const width = place.columns.to - place.columns.from;
  const indexOf = (at: number): number =>
    (place.rows.from + Math.floor(at / width)) * stride + place.columns.from + (at % width);
  if (width === stride) return [run(from, to - from, indexOf(from))];
  const firstWhole = Math.ceil(from / width) * width;
  const lastWhole = Math.floor(to / width) * width;
  if (firstWhole > lastWhole) return [run(from, to - from, indexOf(from))];
  return [
    ...(from < firstWhole ? [run(from, firstWhole - from, indexOf(from))] : []),
    ...(firstWhole < lastWhole
      ? [
          {
            at: firstWhole,
            firstIndex: indexOf(firstWhole),
            rows: (lastWhole - firstWhole) / width,
            rowLength: width,
            rowStride: stride,
          },
        ]
      : []),
    ...(lastWhole < to ? [run(lastWhole, to - lastWhole, indexOf(lastWhole))] : []),
  ];
}
