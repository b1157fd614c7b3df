import test from 'ava';
import * as fc from 'fast-check';
import { stageIndex } from './rank.ts';
import { stageOfBlock, stagePlan } from './stage-plan.ts';

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
