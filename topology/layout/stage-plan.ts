import { assert } from '@troupe/core';
import { stageIndex, type StageIndex } from './rank.ts';

/** What of a model a pipeline stage computes. */
export interface StagePlan {
  /** Blocks, 0-based and consecutive. */
  readonly blocks: readonly number[];
  readonly hasEmbedding: boolean;
  readonly hasHead: boolean;
}

const firstBlock = (stage: number, blocks: number, pp: number): number => Math.floor((stage * blocks) / pp);

/** Consecutive blocks, as even as whole ones allow, the longer stages last. */
export function stagePlan(
  stage: StageIndex,
  { blocks, pp }: { readonly blocks: number; readonly pp: number },
): StagePlan {
  assert(stage < pp && pp <= blocks, 'every stage has a block', { stage, pp, blocks });
  const first = firstBlock(stage, blocks, pp);
  const count = firstBlock(stage + 1, blocks, pp) - first;
  return {
    blocks: Array.from({ length: count }, (_, index) => first + index),
    hasEmbedding: stage === 0,
    hasHead: stage === pp - 1,
  };
}

/** The pipeline stage that computes a block. */
export function stageOfBlock(
  block: number,
  { blocks, pp }: { readonly blocks: number; readonly pp: number },
): StageIndex {
  assert(block >= 0 && block < blocks, 'a block lies in the model', { block, blocks });
  let stage = Math.floor((block * pp) / blocks);
  while (firstBlock(stage + 1, blocks, pp) <= block) stage++;
  return stageIndex(stage);
}
