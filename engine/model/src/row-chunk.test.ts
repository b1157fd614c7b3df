import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { grainRuns, LocalModel, type LocalModelOptions } from './index.ts';
import { RowChunk } from './row-chunk.ts';
import { tinyBatch, tinyConfig, type TinyChanges } from './testing/tiny-model.ts';

const batchOf = (changes: TinyChanges) => tinyBatch(tinyConfig(changes));

async function computed(changes: TinyChanges, options: Partial<LocalModelOptions>) {
  const model = new LocalModel(openReferenceDevice({ dtype: 'f32' }), {
    config: tinyConfig(changes),
    sequences: 4,
    grains: 4,
    ...options,
  });
  await model.initialise(3);
  const found = await model.lossAndGradients(batchOf(changes));
  return {
    model,
    numbers: {
      loss: found.total,
      norm: found.norm,
      gradients: model.device.read(found.gradients.data),
      held: (await model.forward(batchOf(changes))).total,
      statistics: model.statistics.totals(),
    },
  };
}

test('chunks: runs are as even as whole grains allow, and some are empty where there are more than grains', (t) => {
  const bounds = (first: number, end: number, count: number) =>
    grainRuns({ first, end }, count).map((run) => [run.first, run.end]);
  t.deepEqual(bounds(0, 4, 1), [[0, 4]]);
  t.deepEqual(bounds(0, 5, 2), [
    [0, 2],
    [2, 5],
  ]);
  t.deepEqual(bounds(3, 5, 3), [
    [3, 3],
    [3, 4],
    [4, 5],
  ]);
});

const variants: readonly {
  readonly changes: TinyChanges;
  readonly options?: Partial<LocalModelOptions>;
}[] = [
  { changes: {} },
  { changes: { moe: { sharedExperts: 1 } }, options: { ranks: 2 } },
  { changes: { moe: { norm: true, sharedExperts: 1 } }, options: { ranks: 2 } },
  { changes: { moe: { topK: 3 } }, options: { ranks: 4, rowFormat: 'bf16' } },
  { changes: {}, options: { rowFormat: 'bf16' } },
  { changes: { moe: { choice: 'skewed' } }, options: { ranks: 2, precision: 'bf16' } },
];

for (const { changes, options = {} } of variants)
  test(`chunks: ROUTE-3, the numbers do not depend on them: ${JSON.stringify({ changes, options })}`, async (t) => {
    const one = await computed(changes, options);
    for (const chunks of [2, 3, 4, 6])
      t.deepEqual((await computed(changes, { ...options, chunks })).numbers, one.numbers, `${chunks} chunks`);
  });

test('chunks: each has the rows of its own grains, counted from its first token', async (t) => {
  const { model } = await computed({}, { ranks: 2, chunks: 2 });
  const { device, trainingActivations: act } = model;
  const choices_TK = device.read(act.moe(0).choices_TK);
  for (const index of [0, 1]) {
    const chunk = new RowChunk(act, 0, index);
    t.is(chunk.tokens, 12);
    const chosen = choices_TK.slice(index * 24, index * 24 + 24);
    const counts_EG = device.read(chunk.counts_EG);
    t.is(counts_EG.length, 4 * 2);
    for (let expert = 0; expert < 4; expert++)
      for (let grain = 0; grain < 2; grain++) {
        const rows = chosen.slice(grain * 12, grain * 12 + 12).filter((each) => each === expert).length;
        t.is(counts_EG[expert * 2 + grain], rows);
      }
    for (const rank of [0, 1]) {
      const tokens = [...Array(12).keys()].filter((token) =>
        [0, 1].some((k) => Math.floor((chosen[token * 2 + k] ?? -1) / 2) === rank),
      );
      const { numTokens } = chunk.shares.of(rank);
      t.deepEqual([...device.read(chunk.rankTokens)].slice(rank * 12, rank * 12 + numTokens), tokens);
    }
  }
});
