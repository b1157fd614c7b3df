import { assert } from '@troupe/core';
import { stageIndex, type StageIndex } from './rank.ts';
import type { StageCut } from './stage-cut.ts';

/** What of a model a pipeline stage computes. */
export interface StagePlan {
  /** Blocks, 0-based and rising. */
  readonly blocks: readonly number[];
  readonly hasEmbedding: boolean;
  readonly hasHead: boolean;
}

/** Which runs of blocks pipeline stages have: chunk c of stage s is run c·pp + s. */
export class StagePlans {
  readonly #cut: StageCut;
  readonly #pp: number;

  constructor(cut: StageCut, pp: number) {
    assert((cut.length - 1) % pp === 0, 'every stage has as many chunks', { runs: cut.length - 1, pp });
    this.#cut = cut;
    this.#pp = pp;
  }

  /** The runs of a stage, in the order of forward. */
  chunksOf(stage: StageIndex): readonly StagePlan[] {
    const runs = this.#cut.length - 1;
    assert(stage < this.#pp, 'a stage lies in the pipeline', { stage, pp: this.#pp });
    return Array.from({ length: runs / this.#pp }, (_, chunk) => {
      const run = chunk * this.#pp + stage;
      const [first = 0, next = 0] = this.#cut.slice(run, run + 2);
      return {
        blocks: Array.from({ length: next - first }, (__, index) => first + index),
        hasEmbedding: run === 0,
        hasHead: run === runs - 1,
      };
    });
  }

  /** All chunks of a stage together. */
  of(stage: StageIndex): StagePlan {
    const plans = this.chunksOf(stage);
    return {
      blocks: plans.flatMap(({ blocks }) => blocks),
      hasEmbedding: plans.some(({ hasEmbedding }) => hasEmbedding),
      hasHead: plans.some(({ hasHead }) => hasHead),
    };
  }

  /** The pipeline stage that computes a block. */
  stageOfBlock(block: number): StageIndex {
    assert(block >= 0 && block < (this.#cut.at(-1) ?? 0), 'a block lies in the model', { block });
    const run = this.#cut.findLastIndex((first) => first <= block);
    return stageIndex(run % this.#pp);
  }
}
