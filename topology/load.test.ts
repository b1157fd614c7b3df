import test from 'ava';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TopologyError } from './errors.ts';
import { commentedTopology, loadTopology } from './load.ts';
import { planTopology } from './plan/plan.ts';
import { presetNames, readTopologyFile } from './read.ts';
import { refuseUnbuilt } from './unbuilt.ts';

test('presetNames: lists quickstart and tiny', (t) => {
  t.true(['quickstart', 'tiny'].every((name) => presetNames().includes(name)));
});

/** Presets that are planned and counted, with what `launch` refuses of them by name. */
const plannedOnly: Readonly<Record<string, readonly string[]>> = {
  'deepseek-v3': ['model.mla'],
  // On CUDA devices of eight machines.
  'z-code-10b': ['machines.host', 'machines.devices'],
};

for (const name of presetNames()) {
  test(`loadTopology: preset ${name} loads, plans and asks for nothing else that is not built`, (t) => {
    const resolved = loadTopology(name);
    t.is(resolved.name, name);
    const keys = refuseUnbuilt(resolved).map(({ key }) => key.replace(/\.\d+/g, ''));
    t.deepEqual([...new Set(keys)], plannedOnly[name] ?? []);
    t.true(planTopology(resolved).flopsPerStep > 0);
    t.true(commentedTopology(name).includes('#'));
  });
}

test('loadTopology: tiny is the small model that tests rely on', (t) => {
  const { model, train, data } = loadTopology('tiny');
  t.like(model, { layers: 2, dModel: 64 });
  t.is(model.moe?.experts, 4);
  t.is(train.steps, 20);
  t.is(data.tokenizer.kind, 'bytes');
});

test('loadTopology: a preset takes overrides', (t) => {
  const resolved = loadTopology('tiny', { set: ['train.steps=3', 'parallel.ep=1'] });
  t.is(resolved.train.steps, 3);
  t.like(resolved.parallel, { dp: 2, ep: 1 });
});

test('loadTopology: reads a YAML file that extends a preset, and a JSON file', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-topology-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const yaml = join(folder, 'mine.yaml');
  writeFileSync(yaml, 'extends: tiny\nname: mine\ndata: { text: corpus.txt }\n');
  const resolved = loadTopology(yaml);
  t.is(resolved.name, 'mine');
  t.is(resolved.model.dModel, 64);
  t.deepEqual(resolved.data.source, { kind: 'text', paths: [join(folder, 'corpus.txt')] });
  const json = join(folder, 'mine.json');
  writeFileSync(json, JSON.stringify(resolved.file));
  t.deepEqual(loadTopology(json).file, resolved.file);
  const error = t.throws(() => loadTopology(join(folder, 'absent.yaml')), { instanceOf: TopologyError });
  t.is(error.problems[0]?.code, 'TROUPE_TOPOLOGY_NOT_FOUND');
});

test('commentedTopology: an unknown preset is an error that offers the nearest', (t) => {
  const error = t.throws(() => commentedTopology('quickstrat'), { instanceOf: TopologyError });
  t.is(error.problems[0]?.nearest, 'quickstart');
});

test('readTopologyFile: is null where there is no file', (t) => {
  t.is(readTopologyFile('/nowhere/at/all.yaml'), null);
});

test('readTopologyFile: says of what is there and cannot be read that it is there', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-topology-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  t.is(readTopologyFile(join(folder, 'none.yaml')), null);
  const error = t.throws(() => loadTopology(folder), { instanceOf: TopologyError });
  t.regex(error.message, /is a folder; name the file in it/);
});

test('readTopologyFile: reads only the beginning of a file that never ends', (t) => {
  const error = t.throws(() => loadTopology('/dev/zero'), { instanceOf: TopologyError });
  t.regex(error.message, /more than 4194304 characters/);
});
