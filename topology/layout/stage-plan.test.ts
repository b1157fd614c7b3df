import test from 'ava';
import * as fc from 'fast-check';
import { stageIndex } from './rank.ts';
import { cutByCost, cutByHand, type StageCut } from './stage-cut.ts';
import { StagePlans } from './stage-plan.ts';

/** Cuts of any pipeline over any blocks. */
const pipelines = fc
  .record({
    pp: fc.integer({ min: 1, max: 8 }),
    chunks: fc.integer({ min: 1, max: 4 }),
    rest: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 32, maxLength: 32 }),
  })
  .map(({ pp, chunks, rest }) => ({ pp, chunks, lengths: rest.slice(0, pp * chunks) }));

test('StagePlans: chunks of stages are the runs of a model in order, and the ends have the tables', (t) => {
  fc.assert(
    fc.property(pipelines, ({ pp, chunks, lengths }) => {
      const plans = new StagePlans(cutByHand(lengths), pp);
      const stages = Array.from({ length: pp }, (_, stage) => stageIndex(stage));
      const runs = Array.from({ length: pp * chunks }, (_, run) => {
        const plan = plans.chunksOf(stageIndex(run % pp))[Math.floor(run / pp)];
        t.is(plan?.hasEmbedding, run === 0);
        t.is(plan?.hasHead, run === pp * chunks - 1);
        return plan?.blocks ?? [];
      });
      t.deepEqual(
        runs.map((blocks) => blocks.length),
        lengths,
      );
      t.deepEqual(
        runs.flat(),
        runs.flat().map((_, block) => block),
      );
      for (const stage of stages)
        for (const block of plans.of(stage).blocks) t.is(plans.stageOfBlock(block), stage);
    }),
  );
});

const costOf = (costs: readonly number[], cut: StageCut, run: number, head: number): number =>
  costs.slice(cut[run], cut[run + 1]).reduce((sum, each) => sum + each, run === cut.length - 2 ? head : 0);

/** The costliest run of the best of all cuts, tried one by one. */
function leastMost(costs: readonly number[], runs: number, head: number): number {
  if (runs === 1) return costs.reduce((sum, each) => sum + each, head);
  let [best, first] = [Infinity, 0];
  for (let length = 1; length <= costs.length - (runs - 1); length++) {
    first += costs[length - 1] ?? 0;
    best = Math.min(best, Math.max(first, leastMost(costs.slice(length), runs - 1, head)));
  }
  return best;
}

test('cutByCost: no cut has a cheaper costliest run, and every run has a block', (t) => {
  const costs = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 9 });
  fc.assert(
    fc.property(
      costs,
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 0, max: 12 }),
      (each, wanted, head) => {
        const runs = Math.min(wanted, each.length);
        const cut = cutByCost({ blocks: each, head }, runs);
        t.deepEqual([cut[0], cut.at(-1), cut.length], [0, each.length, runs + 1]);
        t.true(cut.slice(1).every((first, run) => first > (cut[run] ?? 0)));
        const most = Math.max(...Array.from({ length: runs }, (_, run) => costOf(each, cut, run, head)));
        t.is(most, leastMost(each, runs, head));
      },
    ),
  );
});

test('cutByCost: equal blocks are dealt evenly, and a costly head makes the last run short', (t) => {
  const equal = (count: number) => Array<number>(count).fill(10);
  t.deepEqual(cutByCost({ blocks: equal(8), head: 0 }, 4), [0, 2, 4, 6, 8]);
  t.deepEqual(cutByCost({ blocks: equal(4), head: 1 }, 3), [0, 1, 3, 4]);
  t.deepEqual(cutByCost({ blocks: equal(8), head: 25 }, 2), [0, 5, 8]);
  t.deepEqual(cutByCost({ blocks: [1, 100, 1, 1], head: 0 }, 2), [0, 2, 4]);
});
