import { InvariantError } from '@troupe/core';
import type { ElementRange } from '@troupe/spec';

export function intersect(a: ElementRange, b: ElementRange): ElementRange | null {
  const from = Math.max(a.from, b.from);
  const to = Math.min(a.to, b.to);
  return from < to ? { from, to } : null;
}

/** A range that does not lie within another one is a mistake in who holds what. */
export function assertWithin({ from, to }: ElementRange, whole: ElementRange, rule: string): void {
  const isWithin = whole.from <= from && from <= to && to <= whole.to;
  if (!isWithin) throw new InvariantError(rule, { from, to, within: `${whole.from} to ${whole.to}` });
}

/** Elements of a range. */
export const lengthOf = ({ from, to }: ElementRange): number => to - from;

/** Largest frame of gradients, elements: 8 MiB of int64. */
export const MESSAGE_ELEMENTS = 1 << 20;

/** The same of weights, by how they are read. */
export const WEIGHT_ELEMENTS = { f32: 2 * MESSAGE_ELEMENTS, bf16: 4 * MESSAGE_ELEMENTS } as const;

/** @param most - elements of one */
export function* chunks(range: ElementRange, most = MESSAGE_ELEMENTS): Generator<ElementRange> {
  for (let from = range.from; from < range.to; from += most)
    yield { from, to: Math.min(range.to, from + most) };
}

/** A slice in messages; an empty one in an empty message, so that its receiver is not left waiting. */
export const chunksOf = (range: ElementRange): Iterable<ElementRange> =>
  range.from < range.to ? chunks(range) : [{ from: range.from, to: range.to }];
