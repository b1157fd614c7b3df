import test from 'ava';
import * as fc from 'fast-check';
import { stageIndex } from './rank.ts';
import { chunkPlans, stageOfBlock, stagePlan } from './stage-plan.ts';

test('stagePlan: stages hold consecutive blocks, none is empty, sizes differ by at most one, and the ends have the tables', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), (a, b) => {
      const model = { blocks: Math.max(a, b), pp: Math.min(a, b) };
      const plans = Array.from({ length: model.pp }, (_, stage) => stagePlan(stageIndex(stage), model));
      t.deepEqual(
        plans.flatMap(({ blocks }) => blocks),
        Array.from({ length: model.blocks }, (_, block) => block),
      );
      const sizes = plans.map(({ blocks }) => blocks.length);
      t.true(Math.max(...sizes) - Math.min(...sizes) <= 1 && Math.min(...sizes) >= 1);
      plans.forEach(({ blocks, hasEmbedding, hasHead }, stage) => {
        t.is(hasEmbedding, stage === 0);
        t.is(hasHead, stage === model.pp - 1);
        for (const block of blocks) t.is(Number(stageOfBlock(block, model)), stage);
      });
    }),
  );
});

test('stage plan: with chunks, stages come round again', (t) => {
  const cut = { blocks: 9, pp: 2, chunks: 2 };
  t.deepEqual(
    [0, 1].map((stage) => chunkPlans(stageIndex(stage), cut)),
    [
      [
        { blocks: [0, 1], hasEmbedding: true, hasHead: false },
        { blocks: [4, 5], hasEmbedding: false, hasHead: false },
      ],
      [
        { blocks: [2, 3], hasEmbedding: false, hasHead: false },
        { blocks: [6, 7, 8], hasEmbedding: false, hasHead: true },
      ],
    ],
  );
  t.deepEqual(stagePlan(stageIndex(1), cut), {
    blocks: [2, 3, 6, 7, 8],
    hasEmbedding: false,
    hasHead: true,
  });
  for (let block = 0; block < cut.blocks; block++)
    t.true(stagePlan(stageOfBlock(block, cut), cut).blocks.includes(block));
});
