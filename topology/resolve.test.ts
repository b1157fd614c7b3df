import test from 'ava';
import * as fc from 'fast-check';
import { parameterCounts } from '@troupe/spec';
import { composeTopology } from './compose.ts';
import { formatTopology } from './document.ts';
import { TopologyError } from './errors.ts';
import { formatProblem } from './problem.ts';
import { resolveComposed, resolveTopology } from './resolve.ts';
import type { ResolvedTopology } from './resolved.ts';
import { diffTrajectory, diffValues, trajectory } from './trajectory.ts';
import { refuseUnbuilt } from './unbuilt.ts';

function resolveText(
  files: Readonly<Record<string, string>>,
  set: readonly string[] = [],
  entry = 'a.yaml',
): ResolvedTopology {
  const sources = {
    presetNames: ['tiny'],
    presetPath: (name: string) => `presets/${name}.yaml`,
    read: (path: string) => files[path] ?? null,
  };
  const composed = composeTopology(entry, sources, set);
  return resolveComposed(composed, { path: composed.files[0] ?? null, set });
}

test('resolveTopology: fills every default from an empty model', (t) => {
  const resolved = resolveTopology({ model: {} });
  t.like(resolved.model, {
    vocab: 4096,
    layers: 4,
    dModel: 128,
    heads: 4,
    kvHeads: 4,
    headDim: 32,
    moe: null,
  });
  t.deepEqual(resolved.model.ffn, { activation: 'swiglu', dFf: 512 });
  t.is(resolved.train.grains, 8);
  t.is(resolved.train.optimizer.lrMin, resolved.train.optimizer.lr / 10);
  t.deepEqual(resolved.parallel, {
    dp: 1,
    ep: 1,
    edp: 1,
    pp: 1,
    tp: 1,
    world: 1,
    expertWorkers: 0,
    devices: null,
    zero: 1,
    offload: 'none',
    pipeline: '1f1b',
    chunks: 1,
    stages: null,
    rankOrder: 'ep-inner',
    expertsSliced: true,
    experts: 'contiguous',
    rebalanceEvery: 100,
  });
  t.deepEqual(resolved.machines, [
    {
      host: 'localhost',
      body: 'auto',
      devices: [{ id: 'cpu:0', kind: 'cpu', index: 0, threads: 1 }],
      speed: null,
    },
  ]);
  t.is(resolved.checkpoint.dir, 'runs/run');
  t.deepEqual(resolved.data, {
    source: { kind: 'wordnet' },
    tokenizer: { kind: 'bpe', vocab: 4096, file: null },
    holdout: 0.02,
    ship: 'auto',
  });
  t.deepEqual(refuseUnbuilt(resolved), []);
});

test('resolveTopology: the width of an expert follows from granularity', (t) => {
  const { model } = resolveTopology({
    model: { dModel: 256, heads: 4, moe: { experts: 64, granularity: 4 } },
  });
  t.is(model.moe?.dExpert, 256);
  t.is(parameterCounts(model).expert, 4 * 64 * 3 * 256 * 256);
});

test('resolveTopology: the filled file resolves to itself', (t) => {
  const model = fc.record({
    layers: fc.integer({ min: 1, max: 4 }),
    dModel: fc.constantFrom(64, 128),
    kvHeads: fc.constantFrom(1, 2, 4),
    moe: fc.option(
      fc.record({
        experts: fc.constantFrom(4, 8),
        router: fc.record({ choice: fc.constantFrom('learned', 'balanced', 'skewed') }),
      }),
    ),
  });
  const data = fc.constantFrom(
    {},
    { text: 'a.txt' },
    { jsonl: ['b.jsonl'], tokenizer: { kind: 'bytes' } },
    { synthetic: 'zipf' },
  );
  const vocab = fc.constantFrom(64, 4096);
  fc.assert(
    fc.property(model, data, fc.constantFrom(1, 2, 4), vocab, (someModel, someData, dp, small) => {
      // Fewer tokens than bytes are for synthetic data alone.
      const own = 'synthetic' in someData ? { ...someModel, vocab: small } : someModel;
      const first = resolveTopology({ model: own, data: someData, parallel: { dp } });
      const again = resolveTopology(JSON.parse(JSON.stringify(first.file)));
      // A manifest leaves open what followed from other keys; resolving it gives the same.
      const moved = resolveTopology(JSON.parse(JSON.stringify(first.portable)));
      t.deepEqual({ ...moved, source: null }, { ...first, source: null });
      t.deepEqual({ ...again, source: null, portable: null }, { ...first, source: null, portable: null });
      t.deepEqual(diffTrajectory(first, again), []);
    }),
    { numRuns: 60 },
  );
});

test('resolveTopology: other metrics than jsonl go on in a resumed run; a manifest names no default', (t) => {
  const usual = resolveTopology({ model: {} });
  t.deepEqual(usual.metrics, ['jsonl']);
  t.false('metrics' in usual.portable);
  const more = resolveTopology({ model: {}, metrics: ['csv'] });
  t.deepEqual(resolveTopology(JSON.parse(JSON.stringify(more.portable))).metrics, ['csv']);
  t.deepEqual(diffTrajectory(usual, more), []);
});

test('resolveTopology: is plain data', (t) => {
  const resolved = resolveText({ 'a.yaml': 'model: { moe: {} }' });
  t.deepEqual(JSON.parse(JSON.stringify(resolved)), resolved);
});

test('resolve: -1 takes what is left of the devices', (t) => {
  const devices = ['cpu:0', 'cpu:1', 'cpu:2', 'cpu:3'];
  t.like(resolveTopology({ model: {}, machines: [{ devices }] }).parallel, { dp: 4, world: 4 });
  t.like(resolveTopology({ model: {}, machines: [{ devices }], parallel: { tp: 2 } }).parallel, {
    dp: 2,
    tp: 2,
  });
  t.like(resolveTopology({ model: {}, machines: [{ devices }], parallel: { dp: 2, pp: -1 } }).parallel, {
    dp: 2,
    pp: 2,
  });
  const moe = { experts: 6 };
  t.like(resolveTopology({ model: { moe }, machines: [{ devices }], parallel: { ep: -1 } }).parallel, {
    dp: 4,
    ep: 2,
    edp: 2,
  });
});

test('resolve: machines default to as many devices as the world needs', (t) => {
  const { machines } = resolveTopology({ model: { moe: {} }, parallel: { dp: 4, ep: 2 } });
  t.deepEqual(
    machines.map(({ host, devices }) => [host, devices.map((device) => device.id)]),
    [['localhost', ['cpu:0', 'cpu:1', 'cpu:2', 'cpu:3']]],
  );
});

test('resolve: threads and bodies of devices', (t) => {
  const machines = [
    { devices: ['cpu:0/threads=3'] },
    { host: '127.0.0.1', devices: ['cpu:7'], body: 'native' as const },
  ];
  const resolved = resolveTopology({ model: {}, device: 'tfjs', machines });
  t.deepEqual(
    resolved.machines.map(({ body, devices }) => [body, devices[0]?.threads, devices[0]?.index]),
    [
      ['tfjs', 3, 0],
      ['native', 1, 7],
    ],
  );
});

test('resolve: the default of grains does not look at the layout', (t) => {
  const grains = [1, 2, 4].map(
    (dp) => resolveTopology({ model: {}, train: { batch: 24 }, parallel: { dp } }).train.grains,
  );
  t.deepEqual(grains, [8, 8, 8]);
});

test('extends: maps merge, lists are replaced, the later file wins', (t) => {
  const files = {
    'dir/a.yaml': 'extends: ../b.yaml\nmodel: { layers: 3 }\nmachines: [{ devices: [cpu:5] }]',
    'b.yaml':
      'extends: tiny\nname: base\nmodel: { layers: 2, heads: 2 }\nmachines: [{ devices: [cpu:0, cpu:1] }]',
    'presets/tiny.yaml': 'model: { dModel: 64 }\ntrain: { steps: 7 }',
  };
  const resolved = resolveText(files, [], 'dir/a.yaml');
  t.like(resolved.model, { layers: 3, heads: 2, dModel: 64 });
  t.is(resolved.train.steps, 7);
  t.is(resolved.name, 'base');
  t.deepEqual(
    resolved.machines[0]?.devices.map((device) => device.id),
    ['cpu:5'],
  );
  t.deepEqual(resolved.source.files, ['dir/a.yaml', 'b.yaml', 'presets/tiny.yaml']);
  t.like(resolved.source.places['model.heads'], { file: 'b.yaml', line: 3 });
  t.like(resolved.source.places['model.layers'], { file: 'dir/a.yaml', line: 2 });
});

test('extends: another source of data takes the place of the earlier one', (t) => {
  const files = {
    'a.yaml': 'extends: b.yaml\nmodel: {}\ndata: { text: x.txt }',
    'b.yaml': 'data: { source: wordnet, holdout: 0.1 }',
  };
  t.deepEqual(resolveText(files).data.source, { kind: 'text', paths: ['x.txt'] });
  t.is(resolveText(files).data.holdout, 0.1);
  t.deepEqual(
    Object.keys(resolveText(files).source.places)
      .filter((key) => key.startsWith('data.'))
      .sort(),
    ['data.holdout', 'data.text'],
  );
  t.deepEqual(resolveText(files, ['data.synthetic=zipf']).data.source, {
    kind: 'synthetic',
    distribution: 'zipf',
  });
});

test('resolve: paths are relative to the file that names them', (t) => {
  const files = {
    'dir/a.yaml': 'extends: ../base/b.yaml\nmodel: {}\ndata: { jsonl: [x.jsonl, /abs/y.jsonl] }',
    'base/b.yaml': 'data: { tokenizer: { file: t.json } }',
  };
  const { data } = resolveText(files, [], 'dir/a.yaml');
  t.deepEqual(data.source, { kind: 'jsonl', paths: ['dir/x.jsonl', '/abs/y.jsonl'], field: 'text' });
  t.is(data.tokenizer.file, 'base/t.json');
  const set = resolveText(files, ['data.text=z.txt'], 'dir/a.yaml');
  t.deepEqual(set.data.source, { kind: 'text', paths: ['z.txt'] });
});

test('--set: reads YAML values, list items and whole maps, in order', (t) => {
  const file = { 'a.yaml': 'model: { moe: { experts: 4 } }\nmachines: [{ devices: [cpu:0] }]' };
  const set = [
    'model.moe.topK=1',
    'train={ steps: 5 }',
    'train.batch=4',
    'machines.0.devices=[cpu:0, cpu:1]',
    'name=x=y'.replace('=y', '-y'),
  ];
  const resolved = resolveText(file, set);
  t.is(resolved.model.moe?.topK, 1);
  t.is(resolved.model.moe?.experts, 4);
  t.like(resolved.train, { steps: 5, batch: 4, grains: 4 });
  t.is(resolved.parallel.dp, 2);
  t.is(resolved.name, 'x-y');
  t.deepEqual(resolved.source.overrides, set);
  t.is(resolveText(file, ['model.moe=null']).model.moe, null);
});

test('resolve: a file without a name is named after its file', (t) => {
  t.is(resolveText({ 'dir/my run.yaml': 'model: {}' }, [], 'dir/my run.yaml').name, 'my-run');
});

test('resolve: an interleaved pipeline has two runs of layers a stage; a resumed run may choose another', (t) => {
  const first = resolveTopology({ model: {}, parallel: { pipeline: 'interleaved' } });
  t.is(first.parallel.chunks, 2);
  const set = ['parallel.pipeline=1f1b'];
  t.like(resolveTopology(first.portable, { set }).parallel, { pipeline: '1f1b', chunks: 1 });
});

test('trajectory: only model, data, train and the format of rows must be equal on resume', (t) => {
  const before = resolveTopology({ model: { moe: {} }, train: { grains: 4 } });
  const moved = resolveTopology({
    name: 'other',
    model: { moe: {} },
    train: { grains: 4, microbatches: 2, recompute: 'layer' },
    parallel: { dp: 2, ep: 2, zero: 0 },
    device: 'tfjs',
    checkpoint: { every: 7 },
    wire: { port: 9000 },
    eval: { every: 3 },
  });
  t.deepEqual(diffTrajectory(before, moved), []);
  const changed = resolveTopology({
    model: { moe: { router: { choice: 'balanced' } } },
    train: { grains: 4, seed: 2, tensorSegments: 2 },
    data: { synthetic: 'zipf' },
    wire: { dtype: 'bf16' },
  });
  t.deepEqual(diffTrajectory(trajectory(before), changed), [
    { key: 'model.moe.router.choice', before: 'learned', after: 'balanced' },
    { key: 'data.source', before: 'wordnet', after: undefined },
    { key: 'data.synthetic', before: undefined, after: 'zipf' },
    { key: 'train.tensorSegments', before: 1, after: 2 },
    { key: 'train.seed', before: 1, after: 2 },
    { key: 'wire.dtype', before: 'f32', after: 'bf16' },
  ]);
});

test('diffValues: sees a change in a list, a missing key and a change of kind', (t) => {
  t.deepEqual(
    diffValues({ a: [1, 2], b: 1 }, { a: [1, 3, 4], c: { d: 1 } }).map(({ key }) => key),
    ['a.1', 'a.2', 'b', 'c'],
  );
});

test('formatTopology: reading its text gives the same topology again', (t) => {
  const { file } = resolveTopology({ model: { moe: {} }, placement: { 'expert/*': 'localhost/cpu:0' } });
  t.deepEqual(resolveText({ 'a.yaml': formatTopology(file) }).file, file);
});

test('resolveTopology: takes overrides over a value', (t) => {
  const { file } = resolveTopology({ model: { moe: {} } });
  t.is(resolveTopology(file, { set: ['parallel.zero=0'] }).parallel.zero, 0);
  const error = t.throws(() => resolveTopology(file, { set: ['parallel'] }), { instanceOf: TopologyError });
  t.like(error.problems[0], { code: 'TROUPE_TOPOLOGY_OVERRIDE', flag: '--set parallel' });
});

/** What is said of a topology with these overrides, a line each; empty when it is valid. */
function said(...set: readonly string[]): readonly string[] {
  try {
    resolveText(
      { 'a.yaml': 'model: { moe: {} }\nplacement: {}\nmachines:\n  - { devices: [cpu:0] }\n' },
      set,
    );
    return [];
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    return error.problems.map(formatProblem);
  }
}

test('--set: names of an object that every object has are keys like any other', (t) => {
  for (const name of ['__proto__', 'toString', 'constructor', 'hasOwnProperty', 'valueOf'])
    for (const [key, where] of [
      [name, 'the top level'],
      [`model.${name}`, 'model'],
      [`model.moe.${name}`, 'model.moe'],
      [`data.${name}`, 'data'],
      [`machines.0.${name}`, 'machines.0'],
    ] as const) {
      const value = `no such key in ${where}  [TROUPE_TOPOLOGY_UNKNOWN_KEY]`;
      t.deepEqual(said(`${key}=1`), [`--set ${key}=1  ${key}: 1  ${value}`]);
      t.deepEqual(said(`${key}.x=1`), [`--set ${key}.x=1  ${key}: {"x":1}  ${value}`]);
    }
  for (const name of ['__proto__', 'toString'])
    t.regex(
      said(`placement.${name}=localhost/cpu:0`).join('\n'),
      /matches no actor; .*TROUPE_TOPOLOGY_PLACEMENT/,
    );
  t.is(({} as Record<string, unknown>)['x'], undefined);
});

test('--set: a key or value of any depth or length is one short sentence', (t) => {
  const deep = (open: string, close: string): string => open.repeat(20_000) + close.repeat(20_000);
  const overrides: readonly (readonly [string, RegExp])[] = [
    [`a${'.a'.repeat(20_000)}=1`, /a key of 20001 names/],
    [`model=${deep('[', ']')}`, /more than 32 maps and lists inside each other/],
    [`model=${deep('{a: ', '}')}`, /more than 32 maps and lists inside each other/],
    [`model={${'<<: {a: 1}, '.repeat(5000)}}`, /a key stands once in a map/],
    [`${'a'.repeat(100_000)}=1`, /no such key in the top level/],
    [`name=${'a/'.repeat(50_000)}`, /name/],
    ['a'.repeat(100_000), /an override looks like/],
  ];
  for (const [override, message] of overrides) {
    const lines = said(override);
    t.regex(lines.join('\n'), message);
    for (const line of lines) t.true(line.length < 600, `${line.length}`);
  }
});

test('--set: what it makes of a list or of nothing is its own, not the place in the file', (t) => {
  t.regex(
    said('metrics.toString=1').join('\n'),
    /^--set metrics\.toString=1 {2}metrics: \{"toString":1\} {2}must be a list/,
  );
  t.regex(
    said('model.moe.router.kind=1').join('\n'),
    /^--set model\.moe\.router\.kind=1 {2}model\.moe\.router\.kind/,
  );
});
