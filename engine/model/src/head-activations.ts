import type { Floats, HeadPartSums } from '@troupe/kernel-set';
import { eachSegment, rangeOfSegment, type Segment } from '@troupe/spec';
import type { Arena } from './arena.ts';
import { tensorShareOf, tokensOf, type StageShape } from './stage-shape.ts';
import { isWhole } from './tensor-share.ts';

/** What a head that is divided by words of the vocabulary keeps. */
export interface HeadActivations {
  /** Maximum, sum of exponentials and target's logit of each token, [3, T] a segment of this device; with smoothing also the sum of logits, [4, T]. */
  readonly parts: readonly Floats[];
  readonly lse_T: Floats;
}

/** Null where the head is whole. */
export function headActivations(arena: Arena, shape: StageShape): HeadActivations | null {
  const tensor = tensorShareOf(shape);
  if (isWhole(tensor)) return null;
  const tokens = tokensOf(shape);
  const sums = (shape.smoothing ?? 0) > 0 ? 4 : 3;
  const parts = eachSegment(tensor.segments).map(() => arena.floats(sums * tokens));
  return { parts, lse_T: arena.floats(tokens) };
}

/** The sums in a part. */
export const headPartSums = (part: Floats, tokens: number): HeadPartSums => ({
  max_T: part.subarray(0, tokens),
  sum_T: part.subarray(tokens, 2 * tokens),
  logit_T: part.subarray(2 * tokens, 3 * tokens),
  ...(part.length > 3 * tokens ? { logitSum_T: part.subarray(3 * tokens, 4 * tokens) } : {}),
});

/** Words of the vocabulary that a segment has. */
export function vocabOf(
  segment: Segment,
  vocab: number,
): { readonly firstVocab: number; readonly vocab: number } {
  const { from, to } = rangeOfSegment(segment, vocab);
  return { firstVocab: from, vocab: to - from };
}
