import { assert } from '@troupe/core';
import { stageIndex, type StageIndex } from './rank.ts';

/** What of a model a pipeline stage computes. */
export interface StagePlan {
  /** Blocks, 0-based and rising. */
  readonly blocks: readonly number[];
  readonly hasEmbedding: boolean;
  readonly hasHead: boolean;
}

/** How the blocks of a model are cut: into pp stages of so many chunks each. */
export interface StageCut {
  readonly blocks: number;
  readonly pp: number;
  /** Runs of consecutive blocks that each stage has; default 1. */
  readonly chunks?: number;
}

const firstBlock = (index: number, blocks: number, parts: number): number =>
  Math.floor((index * blocks) / parts);

/**
 * The runs of blocks of a stage, in the order of forward: chunk c of stage s is run c·pp + s of pp·chunks. Runs are as even as whole blocks
 * allow, the longer ones last.
 */
export function chunkPlans(stage: StageIndex, { blocks, pp, chunks = 1 }: StageCut): readonly StagePlan[] {
  const runs = pp * chunks;
  assert(stage < pp && runs <= blocks, 'every stage has a block in each of its chunks', {
    stage,
    pp,
    chunks,
    blocks,
  });
  return Array.from({ length: chunks }, (_, chunk) => {
    const run = chunk * pp + stage;
    const first = firstBlock(run, blocks, runs);
    const count = firstBlock(run + 1, blocks, runs) - first;
    return {
      blocks: Array.from({ length: count }, (__, index) => first + index),
      hasEmbedding: run === 0,
      hasHead: run === runs - 1,
    };
  });
}

/** All chunks of a stage together. */
export function stagePlan(stage: StageIndex, cut: StageCut): StagePlan {
  const plans = chunkPlans(stage, cut);
  return {
    blocks: plans.flatMap(({ blocks }) => blocks),
    hasEmbedding: plans.some(({ hasEmbedding }) => hasEmbedding),
    hasHead: plans.some(({ hasHead }) => hasHead),
  };
}

/** The pipeline stage that computes a block. */
export function stageOfBlock(block: number, { blocks, pp, chunks = 1 }: StageCut): StageIndex {
  assert(block >= 0 && block < blocks, 'a block lies in the model', { block, blocks });
  const runs = pp * chunks;
  let run = Math.floor((block * runs) / blocks);
  while (firstBlock(run + 1, blocks, runs) <= block) run++;
  return stageIndex(run % pp);
}
