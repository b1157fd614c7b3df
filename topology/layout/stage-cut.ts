import { assert } from '@troupe/core';
import { encoderLayers, trainingFlopsByBlock, type ModelConfig } from '@troupe/spec';

/** How the blocks of a model are cut into runs of consecutive ones: first block of each run, then the number of blocks. */
export type StageCut = readonly number[];

/** What blocks cost, and what the end of the last run costs beside its blocks. */
export interface BlockCosts {
  readonly blocks: readonly number[];
  readonly head: number;
}

/** Runs of so many blocks each. */
export function cutByHand(lengths: readonly number[]): StageCut {
  const cut = [0];
  for (const length of lengths) cut.push((cut.at(-1) ?? 0) + length);
  return cut;
}

/** Runs whose planned FLOPs are as even as whole blocks allow; two of a model whose stacks have tables of positions are its stacks. */
export function cutByFlops(model: ModelConfig, runs: number): StageCut {
  const bound = encoderLayers(model);
  if (model.positions === 't5' && runs === 2 && bound > 0) return [0, bound, model.layers];
  return cutByCost(trainingFlopsByBlock(model), runs);
}

/**
 * Cuts where the costliest run is as cheap as can be; and, as far as that leaves a choice, each cut lies nearest to its share of the whole.
 *
 * Costs are whole numbers, so every machine finds the same cut.
 */
export function cutByCost({ blocks, head }: BlockCosts, runs: number): StageCut {
  const count = blocks.length;
  assert(runs >= 1 && runs <= count, 'every run has a block', { runs, blocks: count });
  const sums = [0];
  for (const cost of blocks) sums.push((sums.at(-1) ?? 0) + cost);
  /** Of blocks [from, to), as one run. */
  const cost = (from: number, to: number): number =>
    (sums[to] ?? 0) - (sums[from] ?? 0) + (to === count ? head : 0);
  /** For each cut, the earliest block at which the rest still fits under a limit; null: it does not. */
  const earliestUnder = (limit: number): readonly number[] | null => {
    const earliest = Array<number>(runs + 1).fill(count);
    for (let run = runs - 1; run >= 0; run--) {
      const to = earliest[run + 1] ?? count;
      let from = to;
      while (from > run && cost(from - 1, to) <= limit) from--;
      if (from === to) return null;
      earliest[run] = from;
    }
    return earliest[0] === 0 ? earliest : null;
  };
  const limit = leastLimit(cost(0, count), (each) => earliestUnder(each) !== null);
  const earliest = earliestUnder(limit);
  assert(earliest, 'a limit that was found holds', { limit, runs });
  const cut = [0];
  for (let run = 1; run < runs; run++) {
    const before = cut.at(-1) ?? 0;
    const ideal = (cost(0, count) * run) / runs;
    let at = Math.max(before + 1, earliest[run] ?? count);
    const fits = (to: number): boolean => to <= count - (runs - run) && cost(before, to) <= limit;
    while (fits(at + 1) && Math.abs((sums[at + 1] ?? 0) - ideal) < Math.abs((sums[at] ?? 0) - ideal)) at++;
    cut.push(at);
  }
  return [...cut, count];
}

/**
 * The least whole number up to `most` under which something holds that then holds under every larger one; beyond 2^53, where whole numbers
 * have gaps, one near it.
 */
function leastLimit(most: number, holds: (limit: number) => boolean): number {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [before, after] = [low, high];
    if (holds(middle)) high = middle;
    else low = middle + 1;
    if (low === before && high === after) break;
  }
  return high;
}
