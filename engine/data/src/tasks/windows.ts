import { assert } from '@troupe/core';
import type { Batch, SourceBatch } from '../batch.ts';
import { emptyBatch } from '../batch.ts';
import type { Items } from './items.ts';
import { fits, rowsOf, type WindowShape } from './window-shape.ts';

/** Items in windows of fixed size; static, so that an epoch is an order of windows. */
export interface Windows {
  readonly items: Items;
  /** Items, window by window. */
  readonly packed: Int32Array;
  /** Where each window begins in `packed`, and behind the last the number of items. */
  readonly starts: Int32Array;
}

/** Windows that are open at a time: twice as many fill hardly more. */
const NUM_OPEN = 64;

/** A window that is being filled. */
interface OpenWindow {
  readonly items: number[];
  source: number;
  target: number;
}

/**
 * Packs items one after the other, each into the first of at most {@link NUM_OPEN} open windows that has room; without one, the
 * oldest is closed for a new one.
 *
 * @param order - a permutation of the items
 */
export function packWindows(items: Items, shape: WindowShape, order: (place: number) => number): Windows {
  const packed = new Int32Array(items.count);
  const starts: number[] = [0];
  const close = ({ items: own }: OpenWindow): void => {
    const start = starts.at(-1) ?? 0;
    packed.set(own, start);
    starts.push(start + own.length);
  };
  const open: OpenWindow[] = [];
  for (let place = 0; place < items.count; place++) {
    const item = order(place);
    const rows = rowsOf(shape, items.lengths(item));
    let window = open.find(({ source, target }) =>
      fits(shape, { source: source + rows.source, target: target + rows.target }),
    );
    if (window === undefined) {
      assert(fits(shape, rows), 'an item fits a window', { item });
      if (open.length === NUM_OPEN) open.splice(0, 1).forEach(close);
      window = { items: [], source: 0, target: 0 };
      open.push(window);
    }
    window.items.push(item);
    window.source += rows.source;
    window.target += rows.target;
  }
  open.forEach(close);
  return { items, packed, starts: Int32Array.from(starts) };
}

export const numWindows = ({ starts }: Windows): number => starts.length - 1;

/** Targets of one window, the ends counted. The same in every epoch. */
export function targetsOf({ items, packed, starts }: Windows, window: number): number {
  let targets = 0;
  for (const item of packed.subarray(starts[window], starts[window + 1]))
    targets += items.lengths(item).target + 1;
  return targets;
}

/** A batch of padding for models with an encoder or without. */
export function paddedBatch(sequences: number, shape: WindowShape, padId: number): Batch {
  const batch = emptyBatch(sequences, shape.target, padId);
  if (shape.source === null) return batch;
  const { ids_T, firstSeen_T, valid_T } = emptyBatch(sequences, shape.source, padId);
  return {
    ...batch,
    source: {
      ids_T,
      firstSeen_T,
      valid_T,
      endSeen_T: firstSeen_T.map((first) => first + 1),
      crossFirst_T: new Int32Array(batch.ids_T.length),
      crossEnd_T: new Int32Array(batch.ids_T.length),
    },
  };
}

/** Where the next segment begins. */
interface Cursor {
  source: number;
  target: number;
}

/** Writes a segment of the encoder: tokens and an end, which see each other. */
function writeSource(
  out: SourceBatch,
  row: number,
  position: number,
  tokens: Int32Array,
  end: number,
): number {
  const next = position + tokens.length + 1;
  out.ids_T.set(tokens, row + position);
  out.ids_T[row + next - 1] = end;
  out.firstSeen_T.fill(position, row + position, row + next);
  out.endSeen_T.fill(next, row + position, row + next);
  out.valid_T.fill(1, row + position, row + next);
  return next;
}

/** Writes a segment of the decoder: what is only read, begin, target; targets begin at begin. */
function writeTarget(
  out: Batch,
  row: number,
  position: number,
  { read, begin, target, end }: Segment,
): number {
  const first = position + read.length;
  const next = first + 1 + target.length;
  out.ids_T.set(read, row + position);
  out.ids_T[row + first] = begin;
  out.ids_T.set(target, row + first + 1);
  out.targets_T.set(target, row + first);
  out.targets_T[row + next - 1] = end;
  out.firstSeen_T.fill(position, row + position, row + next);
  out.valid_T.fill(1, row + position, row + next);
  return next;
}

interface Segment {
  readonly read: Int32Array;
  readonly begin: number;
  readonly target: Int32Array;
  readonly end: number;
}

const nothing = new Int32Array(0);

/** Writes one window into sequence `slot` of a batch of padding. */
export function fillPacked(
  batch: Batch,
  slot: number,
  { items, packed, starts }: Windows,
  at: { readonly window: number; readonly epoch: number; readonly shape: WindowShape; readonly end: number },
): void {
  const { window, epoch, shape, end } = at;
  const row = slot * shape.target;
  const cursor: Cursor = { source: 0, target: 0 };
  for (const item of packed.subarray(starts[window], starts[window + 1])) {
    const { source, target } = items.make(item, epoch);
    const { source: streamed } = batch;
    const from = { ...cursor };
    const read = streamed === undefined ? source : nothing;
    cursor.target = writeTarget(batch, row, from.target, { read, begin: items.begin, target, end });
    if (streamed === undefined) continue;
    cursor.source = writeSource(streamed, slot * (shape.source ?? 0), from.source, source, end);
    streamed.crossFirst_T.fill(from.source, row + from.target, row + cursor.target);
    streamed.crossEnd_T.fill(cursor.source, row + from.target, row + cursor.target);
  }
}
