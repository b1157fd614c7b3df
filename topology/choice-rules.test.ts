import test from 'ava';
import { choiceWidth, expertTake } from '@troupe/spec';
import { TopologyError } from './errors.ts';
import type { ProblemCode } from './problem.ts';
import { resolveTopology } from './resolve.ts';

const file = (groupSequences: number, train: object, moe: object = {}, router: object = {}): object => ({
  model: { moe: { ...moe, router: { kind: 'expert-choice', groupSequences, ...router } } },
  train,
});

/** What is wrong, then code, key, nearest and the rule of its only problem. */
const cases: readonly (readonly [string, object, ProblemCode, string, string | number | null, RegExp])[] = [
  [
    'a group does not divide a microbatch of all replicas',
    file(6, { batch: 16, grains: 16, microbatches: 2 }),
    'TROUPE_TOPOLOGY_INDIVISIBLE',
    'model.moe.router.groupSequences',
    4,
    /batch 16 \/ microbatches 2 = 8 sequences are not divisible by groups of 6/u,
  ],
  [
    'a group is neither whole grains nor within one',
    file(6, { batch: 24, grains: 6 }),
    'TROUPE_TOPOLOGY_INDIVISIBLE',
    'model.moe.router.groupSequences',
    4,
    /groups of 6 and grains of 4 sequences \(batch 24 \/ grains 6\) do not divide each other/u,
  ],
  [
    'a group of which an expert takes nobody',
    file(2, { batch: 32, grains: 8 }, { experts: 16, topK: 1 }),
    'TROUPE_TOPOLOGY_RANGE',
    'model.moe.router.groupSequences',
    8,
    /must be at least 8: of 2 sequences each of 16 experts takes 2 · topK 1 \/ 16, which rounds to none/u,
  ],
  [
    'no group fits',
    file(2, { batch: 2, grains: 2 }, { experts: 16, topK: 1 }),
    'TROUPE_TOPOLOGY_RANGE',
    'model.moe.router.groupSequences',
    null,
    /no size fits this batch/u,
  ],
  [
    'more experts of a token than there are',
    file(4, { batch: 8, grains: 8 }, { experts: 4, topK: 5 }),
    'TROUPE_TOPOLOGY_RANGE',
    'model.moe.topK',
    4,
    /at most experts 4/u,
  ],
  [
    'sigmoid scores',
    file(4, { batch: 8, grains: 8 }, {}, { scores: 'sigmoid' }),
    'TROUPE_TOPOLOGY_CONFLICT',
    'model.moe.router.scores',
    'softmax',
    /must be softmax where experts choose/u,
  ],
  [
    'forced choices',
    file(4, { batch: 8, grains: 8 }, {}, { choice: 'balanced' }),
    'TROUPE_TOPOLOGY_CONFLICT',
    'model.moe.router.choice',
    'learned',
    /must be learned where experts choose/u,
  ],
  [
    'groups of experts',
    file(4, { batch: 8, grains: 8 }, {}, { groups: 2, topGroups: 2 }),
    'TROUPE_TOPOLOGY_CONFLICT',
    'model.moe.router.groups',
    1,
    /must be 1 where experts choose/u,
  ],
  [
    'a bias',
    file(4, { batch: 8, grains: 8 }, { balance: { bias: 0.001 } }),
    'TROUPE_TOPOLOGY_CONFLICT',
    'model.moe.balance.bias',
    0,
    /every expert has equally many tokens/u,
  ],
  [
    'a capacity',
    file(4, { batch: 8, grains: 8 }, { capacity: 1 }),
    'TROUPE_TOPOLOGY_CONFLICT',
    'model.moe.capacity',
    0,
    /as many tokens as it has room for/u,
  ],
];

for (const [what, value, code, key, nearest, rule] of cases)
  test(`choice rules: ${code}: ${what}`, (t) => {
    const error = t.throws(() => resolveTopology(value), { instanceOf: TopologyError });
    t.is(error?.problems.length, 1, error?.message);
    t.like(error?.problems[0], { code, key, nearest });
    t.regex(error?.problems[0]?.rule ?? '', rule);
  });

test('choice rules: groups of whole grains, of one, and within one are legal, whatever the layout', (t) => {
  for (const groupSequences of [1, 2, 4, 8, 16])
    for (const dp of [1, 2, 4, 8])
      t.notThrows(() =>
        resolveTopology({
          ...file(groupSequences, { batch: 16, grains: 8 }, { experts: 2, topK: 1 }),
          parallel: { dp },
        }),
      );
});

test('choice rules: weights are raw and there is no balance loss, whatever their defaults', (t) => {
  const { moe } = resolveTopology(file(8, { batch: 8, grains: 8 })).model;
  t.like(moe, { renormalise: false, balance: { auxLoss: 0, zLoss: 0.001 } });
});

test('choice rules: an expert takes n·topK / experts, rounded half up, and a token has a place for every expert', (t) => {
  const { moe } = resolveTopology(file(8, { batch: 8, grains: 8 }, { experts: 8, topK: 2 })).model;
  if (moe === null) throw new Error('the model has experts');
  const take = (groupSequences: number, experts: number, topK: number) =>
    expertTake({ experts, topK, router: { ...moe.router, groupSequences } });
  t.is(choiceWidth(moe), 8);
  t.is(choiceWidth({ ...moe, router: { ...moe.router, kind: 'token-choice' } }), 2);
  // The paper's 256 / 64 experts at granularity 1; halves go up, a quarter goes nowhere.
  t.deepEqual(
    [take(256, 64, 1), take(8, 8, 2), take(1, 2, 1), take(1, 4, 1), take(3, 2, 1)],
    [4, 2, 1, 0, 2],
  );
});
