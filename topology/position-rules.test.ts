import test from 'ava';
import { TopologyError } from './errors.ts';
import { Layout } from './layout/layout.ts';
import { stageIndex } from './layout/rank.ts';
import { resolveTopology } from './resolve.ts';

const model = { positions: 't5', layers: 5, encoder: { layers: 3 } } as const;

test('positions t5: a stack lies on one stage, as its layers share a table', (t) => {
  const refused = (value: object) =>
    t.throws(() => resolveTopology(value), { instanceOf: TopologyError })?.problems[0];
  t.like(refused({ model, parallel: { pp: 3 } }), {
    code: 'TROUPE_TOPOLOGY_RANGE',
    key: 'parallel.pp',
    nearest: 2,
  });
  t.like(refused({ model: { ...model, encoder: null }, parallel: { pp: 2 } }), {
    code: 'TROUPE_TOPOLOGY_RANGE',
    key: 'parallel.pp',
    nearest: 1,
  });
  t.like(refused({ model, parallel: { pp: 2, stages: [2, 3] } }), {
    code: 'TROUPE_TOPOLOGY_CONFLICT',
    key: 'parallel.stages',
  });
  t.notThrows(() => resolveTopology({ model, parallel: { pp: 2, stages: [3, 2] } }));
});

test('positions t5: two stages are the two stacks, however unequal', (t) => {
  const layout = new Layout(
    resolveTopology({ model: { ...model, encoder: { layers: 1 } }, parallel: { pp: 2 } }),
  );
  t.deepEqual(
    [0, 1].map((stage) => layout.stagePlan(stageIndex(stage)).blocks),
    [[0], [1, 2, 3, 4]],
  );
});
