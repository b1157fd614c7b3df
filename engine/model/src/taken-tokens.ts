import { rangeOfSegment } from '@troupe/spec';
import { tensorShareOf, tokensOf, type StageShape } from './stage-shape.ts';

/** Tokens [first, end) of a microbatch. */
export interface TokenRun {
  readonly first: number;
  readonly end: number;
}

/**
 * Which tokens each tensor peer sends to experts, by rank: runs of whole grains that are as even as these allow, in order; where there are
 * fewer grains than peers, some have none. Null: every peer sends all tokens, to its part of the experts.
 *
 * TEN-5: each token is sent by one peer, and a leaf, which is of one grain, is computed in one piece. So the gradients of experts do not
 * depend on how many peers there are.
 */
export function dealtTokens(shape: StageShape): readonly TokenRun[] | null {
  const { peers, dealsGrains } = tensorShareOf(shape);
  if (!dealsGrains) return null;
  const each = tokensOf(shape) / shape.grains;
  return Array.from({ length: peers }, (_, index) => {
    const { from, to } = rangeOfSegment({ count: peers, index }, shape.grains);
    return { first: from * each, end: to * each };
  });
}

/** 1 for each token of a microbatch that this device dispatches; null: all of them. */
export function takenTokens(shape: StageShape): Uint8Array | null {
  const own = dealtTokens(shape)?.[tensorShareOf(shape).rank];
  if (own === undefined) return null;
  return new Uint8Array(tokensOf(shape)).fill(1, own.first, own.end);
}
