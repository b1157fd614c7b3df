import test from 'ava';
import { TopologyError } from './errors.ts';
import { resolveTopology } from './resolve.ts';

/** What a file says that gets a problem, the key that the problem is at, the nearest legal value, and words of its sentence. */
const refused: readonly (readonly [object, string, unknown, RegExp])[] = [
  [
    { train: { optimizer: { momentum: 0.8 } } },
    'train.optimizer.momentum',
    null,
    /only optimizer sgd or muon has momentum; adamw has none/u,
  ],
  [
    { train: { optimizer: { kind: 'muon', relativeStep: true } } },
    'train.optimizer.relativeStep',
    null,
    /only optimizer adafactor has relativeStep; muon has none/u,
  ],
  [
    { parallel: { tp: 2 }, train: { optimizer: { kind: 'muon' } } },
    'parallel.tp',
    1,
    /must be 1 with optimizer muon, which needs whole matrices; or use adamw or sgd/u,
  ],
  [
    { train: { tensorSegments: 2, optimizer: { kind: 'adafactor' } } },
    'train.tensorSegments',
    1,
    /must be 1 with optimizer adafactor/u,
  ],
];

for (const [value, key, nearest, sentence] of refused)
  test(`optimizer: ${JSON.stringify(value)} is refused at ${key}`, (t) => {
    const error = t.throws(() => resolveTopology({ model: {}, ...value }), { instanceOf: TopologyError });
    const [problem, ...others] = error.problems;
    t.like(problem, { code: 'TROUPE_TOPOLOGY_CONFLICT', key, nearest });
    t.regex(problem?.rule ?? '', sentence);
    t.deepEqual(others, []);
  });

test('optimizer: what one optimizer alone has is filled in for it, and for no other', (t) => {
  const keys = (kind: 'adamw' | 'sgd' | 'adafactor' | 'muon') => {
    const { momentum, nesterov, stepScale, relativeStep } = resolveTopology({
      model: {},
      train: { optimizer: { kind } },
    }).train.optimizer;
    return [momentum, nesterov, stepScale, relativeStep];
  };
  t.deepEqual(keys('adamw'), [undefined, undefined, undefined, undefined]);
  t.deepEqual(keys('sgd'), [0.9, false, undefined, undefined]);
  t.deepEqual(keys('adafactor'), [undefined, undefined, undefined, false]);
  t.deepEqual(keys('muon'), [0.95, true, 'adamw', undefined]);
});
