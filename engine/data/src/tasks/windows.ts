import { assert } from '@troupe/core';
import type { Batch, SourceBatch } from '../batch.ts';
import { emptyBatch } from '../batch.ts';
import type { Items } from './items.ts';
import { fits, rowsOf, type WindowShape } from './window-shape.ts';

/** Items in windows of fixed size; static, so that an epoch is an order of windows. */
export interface Windows {
  readonly items: Items;
  /** The item at each place of the order in which they were packed. */
  readonly order: (place: number) => number;
  /** First place of each window, and behind the last the number of items. */
  readonly starts: Int32Array;
}

/**
 * Packs items in their order, next-fit: an item that does not fit any more opens the next window, and none before it is looked at again.
 *
 * @param order - a permutation of the items
 */
export function packWindows(items: Items, shape: WindowShape, order: (place: number) => number): Windows {
  const starts: number[] = [];
  let [source, target] = [Infinity, Infinity];
  for (let place = 0; place < items.count; place++) {
    const rows = rowsOf(shape, items.lengths(order(place)));
    if (!fits(shape, { source: source + rows.source, target: target + rows.target })) {
      assert(fits(shape, rows), 'an item fits a window', { place });
      starts.push(place);
      [source, target] = [0, 0];
    }
    source += rows.source;
    target += rows.target;
  }
  return { items, order, starts: Int32Array.from([...starts, items.count]) };
}

export const numWindows = ({ starts }: Windows): number => starts.length - 1;

/** Targets of one window, the ends counted. The same in every epoch. */
export function targetsOf({ items, order, starts }: Windows, window: number): number {
  let targets = 0;
  for (let place = starts[window] ?? 0; place < (starts[window + 1] ?? 0); place++)
    targets += items.lengths(order(place)).target + 1;
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
  { items, order, starts }: Windows,
  at: { readonly window: number; readonly epoch: number; readonly shape: WindowShape; readonly end: number },
): void {
  const { window, epoch, shape, end } = at;
  const row = slot * shape.target;
  const cursor: Cursor = { source: 0, target: 0 };
  for (let place = starts[window] ?? 0; place < (starts[window + 1] ?? 0); place++) {
    const { source, target } = items.make(order(place), epoch);
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
