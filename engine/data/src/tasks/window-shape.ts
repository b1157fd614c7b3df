/** Positions of a window: those of the encoder, null for a model without one, and those of the decoder. */
export interface WindowShape {
  readonly source: number | null;
  readonly target: number;
}

/** Tokens of an item, begin and ends not counted; or positions that it takes of each stream. */
export interface Lengths {
  readonly source: number;
  readonly target: number;
}

/**
 * Positions that an item takes.
 *
 * Two streams: source and its end; begin and target. One stream: source, begin, target.
 */
export const rowsOf = (shape: WindowShape, { source, target }: Lengths): Lengths =>
  shape.source === null
    ? { source: 0, target: source + 1 + target }
    : { source: source + 1, target: 1 + target };

export const fits = (shape: WindowShape, rows: Lengths): boolean =>
  rows.source <= (shape.source ?? 0) && rows.target <= shape.target;
