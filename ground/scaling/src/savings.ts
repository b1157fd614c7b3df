import { denseAtFlops } from './dense-optimum.ts';
import {
  logFlopsRange,
  optimumAtFlops,
  type GranularOptimum,
  type GranularProblem,
} from './granular-optimum.ts';
import type { DenseLaw } from './law-set.ts';
import { rootBetween } from './search.ts';
import { paperCost, type FlopsCost } from './shape.ts';

/** FLOPs at which something reaches a loss; null where it never does. */
function flopsToReach(loss: number, lossAt: (flops: number) => number): number | null {
  const found = rootBetween(
    logFlopsRange.least,
    logFlopsRange.most,
    (logFlops) => loss - lossAt(Math.exp(logFlops)),
  );
  return found === null ? null : Math.exp(found);
}

const ratio = (flops: number | null, to: number): number | null => (flops === null ? null : flops / to);

/** How many times the FLOPs a dense model, trained as well as it can be, needs for the same loss; null: it never reaches it. */
export const denseOverMoe = (
  law: DenseLaw,
  best: GranularOptimum,
  cost: FlopsCost = paperCost,
): number | null =>
  ratio(
    flopsToReach(best.loss, (flops) => denseAtFlops(law, flops, cost).loss),
    best.flops,
  );

/** How many times the FLOPs whole experts (G = 1) need for the same loss; null: they never reach it. */
export const coarseOverFine = (problem: GranularProblem, best: GranularOptimum): number | null =>
  ratio(
    flopsToReach(best.loss, (flops) => optimumAtFlops(problem, flops, 1).loss),
    best.flops,
  );
