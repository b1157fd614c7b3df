import { choiceWidth, expertsChoose, expertTake, type MoeConfig } from '@troupe/spec';
import { greatestCommonDivisor } from './choice-buffers.ts';
import type { GrainRun } from './grain-runs.ts';
import { tokensOf, type StageShape } from './stage-shape.ts';

/** Where the rows of a chunk may lie in buffers for the rows of all chunks, in rows. */
export interface RowPlace {
  /** Of its routed rows. */
  readonly rows: { readonly from: number; readonly to: number };
  /** Of the distinct tokens of all ranks. */
  readonly distinct: { readonly from: number; readonly to: number };
}

/**
 * Choice groups that the sequences [first, first + count) of a microbatch have a part of, at most: where the microbatch begins in a group follows from the
 * replica, and all of them have equal buffers.
 */
function groupsTouched(first: number, count: number, sequences: number, group: number): number {
  if (sequences % group === 0) return Math.ceil(((first % group) + count) / group);
  const step = greatestCommonDivisor(greatestCommonDivisor(sequences, group), first);
  return 1 + Math.ceil((count - step) / group);
}

/** Rows that the tokens of a run of grains have at most. Under expert choice a group gives no more than its experts take, a token no more than one an expert. */
export function mostRows(shape: StageShape, moe: MoeConfig, { first, end }: GrainRun): number {
  const { sequences, grains, config } = shape;
  const tokens = ((end - first) * tokensOf(shape)) / grains;
  if (tokens === 0 || !expertsChoose(moe)) return tokens * moe.topK;
  const inGrain = sequences / grains;
  const touched = groupsTouched(
    first * inGrain,
    (end - first) * inGrain,
    sequences,
    moe.router.groupSequences,
  );
  return Math.min(tokens * moe.experts, touched * moe.experts * expertTake(moe) * config.seqLen);
}

/** Room for the rows of every chunk, one behind the other. */
export function rowPlaces(
  shape: StageShape,
  moe: MoeConfig,
  { ranks, runs }: { readonly ranks: number; readonly runs: readonly GrainRun[] },
): readonly RowPlace[] {
  const { sequences, grains, config } = shape;
  let [row, token] = [0, 0];
  return runs.map((run) => {
    const tokens = ((run.end - run.first) * sequences * config.seqLen) / grains;
    const rows = mostRows(shape, moe, run);
    const distinct = Math.min(tokens * Math.min(ranks, choiceWidth(moe)), rows);
    const place = { rows: { from: row, to: row + rows }, distinct: { from: token, to: token + distinct } };
    [row, token] = [row + rows, token + distinct];
    return place;
  });
}
