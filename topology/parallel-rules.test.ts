import test from 'ava';
import { TopologyError } from './errors.ts';
import { resolveTopology } from './resolve.ts';

type Rule = readonly [value: object, code: string, key: string, nearest: string | number | null];

const [indivisible, conflict, range] = [
  'TROUPE_TOPOLOGY_INDIVISIBLE',
  'TROUPE_TOPOLOGY_CONFLICT',
  'TROUPE_TOPOLOGY_RANGE',
];

const tensor = (model: object, parallel: object, train: object = {}): object => ({ model, parallel, train });
const hand = (model: object, experts: unknown): object => ({ model, parallel: { experts } });
const moe = (experts: number): object => ({ layers: 2, moe: { experts } });

/** Mixtures that no machine can carry out. */
const rules: readonly Rule[] = [
  [tensor({ heads: 12, dModel: 96, kvHeads: 4 }, { tp: 6 }), indivisible, 'parallel.tp', 4],
  [tensor({ heads: 6, dModel: 96 }, { tp: 4 }), indivisible, 'parallel.tp', 3],
  [tensor({ heads: 3, dModel: 96, ffn: { dFf: 128 } }, { tp: 3 }), indivisible, 'parallel.tp', 2],
  [tensor({ heads: 3, dModel: 96, ffn: { dFf: 128 }, moe: {} }, { tp: 3 }), indivisible, 'parallel.tp', 2],
  [tensor({ kvHeads: 1 }, {}, { tensorSegments: 4 }), indivisible, 'train.tensorSegments', 1],
  [tensor({ kvHeads: 2, qkNorm: 'full' }, { tp: 4 }), range, 'parallel.tp', 2],
  [tensor({ ffn: { dFf: 130 }, moe: {} }, {}, { tensorSegments: 4 }), indivisible, 'train.tensorSegments', 2],
  [tensor({ heads: 12, dModel: 96 }, { tp: 3 }, { tensorSegments: 4 }), indivisible, 'parallel.tp', 2],
  [
    { model: {}, train: { microbatches: 2 }, parallel: { pp: 4, pipeline: 'interleaved', chunks: 1 } },
    indivisible,
    'train.microbatches',
    4,
  ],
  [{ model: {}, parallel: { chunks: 2 } }, conflict, 'parallel.chunks', 1],
  [{ model: {}, parallel: { chunks: 2, pipeline: 'zero-bubble' } }, conflict, 'parallel.chunks', 1],
  [
    { model: {}, train: { microbatches: 4 }, parallel: { pp: 4, pipeline: 'interleaved' } },
    range,
    'parallel.chunks',
    1,
  ],
  [{ model: {}, parallel: { pp: 5 } }, range, 'parallel.pp', 4],
  [{ model: {}, parallel: { pp: 2, stages: [1, 1, 2] } }, conflict, 'parallel.stages', null],
  [{ model: {}, parallel: { pp: 2, stages: [1, 2] } }, conflict, 'parallel.stages', null],
  [hand({}, 'balanced'), conflict, 'parallel.experts', 'contiguous'],
  [
    hand(moe(4), [
      [0, 1],
      [2, 3],
    ]),
    conflict,
    'parallel.experts',
    null,
  ],
  [hand(moe(4), [[0, 1, 2, 4]]), range, 'parallel.experts', null],
  [hand(moe(4), [[0, 1, 2, 2]]), conflict, 'parallel.experts', null],
  [hand(moe(4), [[0, 1, 3]]), conflict, 'parallel.experts', null],
  [hand(moe(2), [[[0, 1]], [[0]]]), conflict, 'parallel.experts.1', null],
  [hand(moe(2), [[[0, 1]]]), conflict, 'parallel.experts', null],
  [{ model: { moe: { experts: 4 } }, parallel: { dp: 8, ep: 8 } }, indivisible, 'parallel.ep', 4],
];

for (const [value, code, key, nearest] of rules) {
  test(`parallel rules: one error at ${key} of ${JSON.stringify(value)}`, (t) => {
    const error = t.throws(() => resolveTopology(value), { instanceOf: TopologyError });
    t.is(error.problems.length, 1, JSON.stringify(error.problems));
    t.like(error.problems[0], { code, key, nearest });
  });
}

test('parallel rules: mixtures that look odd and are legal', (t) => {
  for (const value of [
    tensor({ kvHeads: 1 }, { tp: 4 }),
    tensor({ vocab: 4099 }, { tp: 2 }),
    tensor({ heads: 3, dModel: 96, ffn: { dFf: 128 }, moe: {} }, { tp: 3, expertsSliced: false }),
    { model: { layers: 4 }, parallel: { pp: 3 } },
    { model: { layers: 4, moe: { every: 4 } }, parallel: { pp: 4 } },
    { model: {}, train: { microbatches: 2 }, parallel: { pp: 2, pipeline: 'gpipe', chunks: 2 } },
    hand(moe(4), [[2, 0, 1, 3]]),
  ])
    t.notThrows(() => resolveTopology(value), JSON.stringify(value));
});
