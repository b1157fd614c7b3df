import type { Floats, Int64s, Ints } from '@troupe/kernel-set';
import { expertsChoose, expertTake, hasThresholds, type MoeConfig } from '@troupe/spec';
import type { Arena } from './arena.ts';
import type { StageShape } from './stage-shape.ts';

/**
 * What experts compare at one layer at a time, by part: a run of sequences of one choice group, all parts being equally long. P parts, S positions,
 * E experts.
 */
export interface ChoiceBuffers {
  readonly partSequences: number;
  readonly parts: number;
  /** Candidates of a part for each expert at each position. */
  readonly take: number;
  /** [P, S, E, take]. */
  readonly keys: Int64s;
  /** Tokens at each position that are no padding, [P, S]. */
  readonly numValid: Ints;
  /** [P, S, E]. */
  readonly thresholds: Int64s;
  /** Of generation: thresholds of one layer, [E], and where they lie in its unit; null: there are none. */
  readonly learned: { readonly thresholds_E: Floats; readonly places_E: Ints } | null;
}

export const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? a : greatestCommonDivisor(b, a % b);

/** Null where tokens choose. */
export function choiceBuffers(arena: Arena, { sequences, config }: StageShape): ChoiceBuffers | null {
  const { moe, seqLen } = config;
  if (moe === null || !expertsChoose(moe)) return null;
  const { partSequences, take } = partOf(moe, sequences);
  const parts = sequences / partSequences;
  return {
    partSequences,
    parts,
    take,
    keys: arena.int64s(parts * seqLen * moe.experts * take),
    numValid: arena.ints(parts * seqLen),
    thresholds: arena.int64s(parts * seqLen * moe.experts),
    learned: hasThresholds(moe)
      ? { thresholds_E: arena.floats(moe.experts), places_E: arena.ints(moe.experts) }
      : null,
  };
}

/** Parts of the microbatches of so many sequences: every one lies in one group, wherever a microbatch begins. */
function partOf(moe: MoeConfig, sequences: number) {
  const partSequences = greatestCommonDivisor(sequences, moe.router.groupSequences);
  return { partSequences, take: Math.min(expertTake(moe), partSequences) };
}
