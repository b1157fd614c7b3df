import type { Device, Ints } from '@troupe/kernel-set';
import * as fc from 'fast-check';
import { intsOf } from './device-values.ts';

/** Rows in grains, and where a call that computes them is cut in several. Every number shrinks on its own. */
export interface LayoutShape {
  /** Bounds of the grains, from 0 to the number of rows; grains may be empty. */
  readonly starts: readonly number[];
  /** Grains before which a new call begins. */
  readonly cuts: readonly number[];
  /** Rows before which a new call begins, for calls that know no grains; pieces may be empty. */
  readonly rowCuts: readonly number[];
  /** Last piece first. */
  readonly backwards: boolean;
  /** Of a row, elements. */
  readonly width: number;
}

/** One of the calls that a computation is cut into. */
export interface Piece {
  readonly firstGrain: number;
  readonly numGrains: number;
  readonly first: number;
  readonly rows: number;
  /** Bounds of its grains, from 0 to its number of rows. */
  readonly starts: Ints;
}

const MOST_ROWS = 70;
const MOST_CUTS = 6;
const ascending = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);

export const layoutShapes: fc.Arbitrary<LayoutShape> = fc
  .record({
    rows: fc.integer({ min: 0, max: MOST_ROWS }),
    bounds: fc.array(fc.integer({ min: 0, max: MOST_ROWS }), { maxLength: MOST_CUTS }),
    cuts: fc.uniqueArray(fc.integer({ min: 1, max: MOST_CUTS }), { maxLength: MOST_CUTS }),
    rowCuts: fc.array(fc.integer({ min: 0, max: MOST_ROWS }), { maxLength: MOST_CUTS }),
    backwards: fc.boolean(),
    width: fc.integer({ min: 1, max: 70 }),
  })
  .map(({ rows, bounds, cuts, rowCuts, backwards, width }) => {
    const starts = [0, ...ascending(bounds.filter((bound) => bound <= rows)), rows];
    return {
      starts,
      cuts: ascending(cuts.filter((grain) => grain < starts.length - 1)),
      rowCuts: ascending(rowCuts.filter((row) => row <= rows)),
      backwards,
      width,
    };
  });

export const numRows = ({ starts }: LayoutShape): number => starts.at(-1) ?? 0;
export const numGrains = ({ starts }: LayoutShape): number => starts.length - 1;

export function startsOf(device: Device, { starts }: LayoutShape): Ints {
  return intsOf(device, starts);
}

const inOrder = <T>(pieces: T[], { backwards }: LayoutShape): T[] => (backwards ? pieces.reverse() : pieces);

/** The calls of a shape that is cut between grains, in the order in which they run. */
export function pieces(device: Device, shape: LayoutShape): readonly Piece[] {
  const firsts = [0, ...shape.cuts];
  return inOrder(
    firsts.map((firstGrain, index) => {
      const endGrain = firsts[index + 1] ?? numGrains(shape);
      const bounds = shape.starts.slice(firstGrain, endGrain + 1);
      const first = bounds[0] ?? 0;
      return {
        firstGrain,
        numGrains: endGrain - firstGrain,
        first,
        rows: (bounds.at(-1) ?? first) - first,
        starts: intsOf(
          device,
          bounds.map((bound) => bound - first),
        ),
      };
    }),
    shape,
  );
}

/** The calls of a shape that is cut between any rows. */
export function rowPieces(shape: LayoutShape): readonly { readonly first: number; readonly rows: number }[] {
  const firsts = [0, ...shape.rowCuts];
  return inOrder(
    firsts.map((first, index) => ({ first, rows: (firsts[index + 1] ?? numRows(shape)) - first })),
    shape,
  );
}
