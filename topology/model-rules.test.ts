import test from 'ava';
import { TopologyError } from './errors.ts';
import type { ProblemCode } from './problem.ts';
import { resolveTopology } from './resolve.ts';

/** What is wrong, then code, key and nearest of its only problem. */
const cases: readonly (readonly [object, ProblemCode, string, string | number | null])[] = [
  [{ layers: 2, moe: { firstDense: 2 } }, 'TROUPE_TOPOLOGY_RANGE', 'model.moe.firstDense', 1],
  [
    { ffn: { dFf: 96 }, moe: { dExpert: 20, granularity: 4 } },
    'TROUPE_TOPOLOGY_CONFLICT',
    'model.moe.dExpert',
    null,
  ],
  [{ ffn: { dFf: 96 }, moe: { granularity: 5 } }, 'TROUPE_TOPOLOGY_INDIVISIBLE', 'model.moe.granularity', 4],
  [{ moe: { router: { groups: 3 } } }, 'TROUPE_TOPOLOGY_INDIVISIBLE', 'model.moe.router.groups', 2],
  [{ moe: { topK: 3, router: { groups: 4 } } }, 'TROUPE_TOPOLOGY_RANGE', 'model.moe.router.topGroups', 2],
  [
    { moe: { router: { groups: 2, topGroups: 3 } } },
    'TROUPE_TOPOLOGY_RANGE',
    'model.moe.router.topGroups',
    2,
  ],
  [{ positions: 't5', mla: {}, headDim: 192 }, 'TROUPE_TOPOLOGY_CONFLICT', 'model.positions', 'rotary'],
  [
    { positions: 't5', relative: { buckets: 32, maxDistance: 16 } },
    'TROUPE_TOPOLOGY_RANGE',
    'model.relative.maxDistance',
    17,
  ],
  [{ headDim: 64, mla: {} }, 'TROUPE_TOPOLOGY_CONFLICT', 'model.headDim', 192],
  [{ kvHeads: 1, mla: {} }, 'TROUPE_TOPOLOGY_CONFLICT', 'model.kvHeads', 4],
  [{ qkNorm: 'full', mla: {} }, 'TROUPE_TOPOLOGY_CONFLICT', 'model.qkNorm', 'none'],
  [{ mla: { ropeDim: 7 } }, 'TROUPE_TOPOLOGY_INDIVISIBLE', 'model.mla.ropeDim', 8],
];

for (const [model, code, key, nearest] of cases)
  test(`model rules: ${code} of ${key} in ${JSON.stringify(model)}`, (t) => {
    const error = t.throws(() => resolveTopology({ model }), { instanceOf: TopologyError });
    t.is(error?.problems.length, 1);
    t.like(error?.problems[0], { code, key, nearest });
  });

test('model rules: latent attention has no zero-bubble pipeline', (t) => {
  const value = {
    model: { mla: {} },
    parallel: { pp: 2, pipeline: 'zero-bubble' },
    train: { microbatches: 2 },
  };
  const error = t.throws(() => resolveTopology(value), { instanceOf: TopologyError });
  t.like(error?.problems[0], { code: 'TROUPE_TOPOLOGY_CONFLICT', key: 'parallel.pipeline', nearest: '1f1b' });
});

test('model rules: a width that is written and follows from the granularity is no contradiction', (t) => {
  const { model } = resolveTopology({
    model: {
      ffn: { dFf: 96 },
      moe: { dExpert: 24, granularity: 4, firstDense: 1, router: { groups: 4, topGroups: 2 } },
    },
  });
  t.like(model.moe, { dExpert: 24, firstDense: 1, router: { groups: 4, topGroups: 2, scale: 1 } });
});
