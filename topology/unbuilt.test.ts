import test from 'ava';
import { resolveTopology } from './resolve.ts';
import { refuseUnbuilt } from './unbuilt.ts';

const moe = (over: object): object => ({ model: { moe: over } });

const refused: readonly (readonly [object, string, unknown, string | number])[] = [
  [moe({ balance: { layers: 'pooled' } }), 'model.moe.balance.layers', 'pooled', 'each'],
  [{ model: {}, device: 'tfjs', train: { precision: 'bf16' } }, 'train.precision', 'bf16', 'f32'],
  [
    { model: {}, train: { precision: 'bf16' }, machines: [{ body: 'tfjs', devices: ['cpu:0'] }] },
    'train.precision',
    'bf16',
    'f32',
  ],
  [{ model: {}, wire: { security: 'curve' } }, 'wire.security', 'curve', 'auto'],
  [{ model: {}, data: { parquet: 'x.parquet' } }, 'data.parquet', 'parquet', 'wordnet'],
  [
    { model: {}, machines: [{ host: 'gpu-box-2', devices: ['cpu:0'] }] },
    'machines.0.host',
    'gpu-box-2',
    'localhost',
  ],
  [{ model: {}, machines: [{ devices: ['cuda:0'] }] }, 'machines.0.devices.0', 'cuda:0', 'cpu:0'],
];

for (const [value, key, found, built] of refused) {
  test(`refuseUnbuilt: names ${key} ${String(found)} of ${JSON.stringify(value)}`, (t) => {
    const problems = refuseUnbuilt(resolveTopology(value));
    t.is(problems.length, 1);
    t.like(problems[0], { code: 'TROUPE_NOT_BUILT', key, value: found, nearest: built });
  });
}

test('refuseUnbuilt: a remote host is told that a launcher reaches it', (t) => {
  const [problem] = refuseUnbuilt(
    resolveTopology({ model: {}, machines: [{ host: 'gpu-box-2', devices: ['cpu:0'] }] }),
  );
  t.is(
    problem?.rule,
    'without a launcher a run stays on this machine, and gpu-box-2 is another one; set launcher.kind: ssh',
  );
});

test('refuseUnbuilt: latent attention is named as what it is, in a simulation too', (t) => {
  const topology = resolveTopology({ model: { mla: {} } });
  for (const use of ['launch', 'simulate', 'shapes'] as const) {
    const [problem, ...others] = refuseUnbuilt(topology, use);
    t.like(problem, { code: 'TROUPE_NOT_BUILT', key: 'model.mla', nearest: 'null' });
    t.regex(problem?.rule ?? '', /multi-head latent attention \(MLA\) is planned, and not built yet/u);
    t.is(others.length, 0);
  }
});

const accepted: readonly object[] = [
  { model: {}, train: { optimizer: { kind: 'sgd', momentum: 0.8, nesterov: true } } },
  { model: {}, train: { optimizer: { kind: 'adafactor', relativeStep: true } } },
  { model: {}, train: { optimizer: { kind: 'muon', stepScale: 'spectral' } } },
  { model: { layers: 3, moe: { firstDense: 1, dExpert: 96 } } },
  { model: { moe: {} }, parallel: { dp: 4, ep: 2, zero: 0 } },
  { model: { moe: {} }, parallel: { dp: 2, pp: 2, pipeline: 'gpipe' } },
  { model: { moe: {} }, parallel: { dp: 4, ep: 2, zero: 2 } },
  { model: { moe: {} }, parallel: { dp: 4, ep: 2, zero: 3 }, train: { microbatches: 2 } },
  { model: { moe: {} }, parallel: { dp: 2, ep: 2, zero: 1 }, train: { microbatches: 2 } },
  { model: { moe: { balance: { scope: 'global' } } } },
  { model: { moe: { balance: { scope: 'global', layers: 'pooled' } } } },
  { model: { moe: { balance: { layers: 'pooled', auxLoss: 0 } } } },
  { model: { moe: { experts: 4 } }, parallel: { dp: 2, ep: 2, experts: [[3, 0, 1], [2]] } },
  {
    model: { moe: {} },
    parallel: { dp: 1 },
    machines: [{ devices: ['cpu:0', 'cpu:1'] }],
    placement: { 'expert/*': 'localhost/cpu:1' },
  },
  { model: {}, device: 'tfjs' },
  { model: { moe: { router: { choice: 'skewed' } } } },
  {
    model: {
      moe: { router: { scores: 'sigmoid', groups: 4, topGroups: 2, scale: 2.5 }, balance: { bias: 0.001 } },
    },
  },
  { model: {}, train: { precision: 'bf16' } },
  ...['localhost', '127.0.0.1', '::1'].map((host) => ({
    model: {},
    machines: [{ host, devices: ['cpu:0'] }],
  })),
  ...['cosine', 'constant', 'linear', 'wsd'].map((schedule) => ({
    model: {},
    train: { optimizer: { schedule } },
  })),
];

test('refuseUnbuilt: takes dp × ep, every zero, microbatches, local hosts and every schedule', (t) => {
  for (const value of accepted) t.deepEqual(refuseUnbuilt(resolveTopology(value)), [], JSON.stringify(value));
});
