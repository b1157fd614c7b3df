import { grainRuns, type GrainRun } from './grain-runs.ts';
import { tensorShareOf, tokensOf, type StageShape } from './stage-shape.ts';

/**
 * Which grains of a microbatch each tensor peer sends to experts, by rank: runs that are as even as whole grains allow, in order; where there are
 * fewer grains than peers, some have none. Null: every peer sends all tokens, to its part of the experts.
 *
 * TEN-5: each token is sent by one peer, and a leaf, which is of one grain, is computed in one piece. So the gradients of experts do not
 * depend on how many peers there are.
 */
export function dealtGrains(shape: StageShape): readonly GrainRun[] | null {
  const { peers, dealsGrains } = tensorShareOf(shape);
  return dealsGrains ? grainRuns({ first: 0, end: shape.grains }, peers) : null;
}

/** Those that this device sends. */
export const ownGrains = (shape: StageShape): GrainRun =>
  dealtGrains(shape)?.[tensorShareOf(shape).rank] ?? { first: 0, end: shape.grains };

/** The runs of them whose rows travel by themselves. */
export const ownRuns = (shape: StageShape, chunks: number): readonly GrainRun[] =>
  grainRuns(ownGrains(shape), chunks);

/** Tokens of a microbatch whose rows this device sends. */
export function ownTokens(shape: StageShape): number {
  const { first, end } = ownGrains(shape);
  return ((end - first) * tokensOf(shape)) / shape.grains;
}
