import type { BufferRule } from './buffer-rule.ts';
import type { ElementRange } from './exchange.ts';
import type { FlatLayout } from './parameters.ts';

/** Consecutive elements of a flat buffer that are trained, or that are all of one buffer; padding goes with its unit. */
export interface BufferRun extends ElementRange {
  /** Null: gradients train it. */
  readonly buffer: BufferRule | null;
}

/** The runs of a range, in order; neighbours that are trained are one. */
export function bufferRuns({ units, starts }: FlatLayout, { from, to }: ElementRange): readonly BufferRun[] {
  const runs: { from: number; to: number; buffer: BufferRule | null }[] = [];
  units.forEach((unit, index) => {
    const start = starts[index] ?? 0;
    const [first, end] = [Math.max(from, start), Math.min(to, start + unit.paddedSize)];
    if (first >= end) return;
    const { buffer } = unit;
    const last = runs.at(-1);
    if (buffer === null && last?.buffer === null) last.to = end;
    else runs.push({ from: first, to: end, buffer });
  });
  return runs;
}

/** What of a range gradients train. */
export const trainedRanges = (flat: FlatLayout, range: ElementRange): readonly ElementRange[] =>
  bufferRuns(flat, range).filter(({ buffer }) => buffer === null);
