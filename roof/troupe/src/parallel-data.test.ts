import { resolve } from 'node:path';
import test from 'ava';
import { resolveTopology } from '@troupe/topology';
import { dataConfig } from './data.ts';
import { withAbsolutePaths } from './open-run.ts';

const written = [
  { kind: 'lines', from: 'en', to: 'de', source: 'a.en', target: 'a.de' },
  { kind: 'tsv', from: 'en', to: 'de', file: 'a.tsv' },
  { kind: 'jsonl', from: 'en', to: 'de', file: 'a.jsonl', fields: ['x', 'y'], document: 'page' },
  { kind: 'po', from: 'en', to: 'de', file: 'a.po' },
  { kind: 'help', folder: 'help', languages: ['de'] },
  { kind: 'typescript', languages: ['de', 'fr'] },
  { kind: 'text', language: 'de', file: 'a.txt' },
  { kind: 'jsonl-text', language: 'de', file: 'b.jsonl', field: 'body' },
];
const tasks = [
  { kind: 'translation', pairs: ['en-de'], weight: 2, evaluate: true, temperature: 5 },
  { kind: 'denoising', languages: ['de'], noise: ['infill'], weight: 1, evaluate: false, temperature: 1 },
];
const topology = resolveTopology({ model: {}, data: { parallel: written, tasks } });

test('dataConfig: every kind of texts and tasks arrives with all its keys', (t) => {
  const { parallel, tasks: found, source } = dataConfig(topology);
  t.deepEqual(parallel, written as never);
  t.deepEqual(found, tasks as never);
  t.is(source, undefined);
});

test('withAbsolutePaths: a checkpoint of parallel texts names their files in full, and is the same topology', (t) => {
  const moved = withAbsolutePaths(topology);
  const { parallel } = dataConfig(moved);
  t.deepEqual(
    parallel?.map((source) => ('file' in source ? source.file : 'folder' in source ? source.folder : null)),
    [null, 'a.tsv', 'a.jsonl', 'a.po', 'help', null, 'a.txt', 'b.jsonl'].map((path) =>
      path === null ? null : resolve(path),
    ),
  );
  t.like(parallel?.[0], { source: resolve('a.en'), target: resolve('a.de') });
  t.deepEqual(dataConfig(resolveTopology(moved.portable)), dataConfig(moved));
});
