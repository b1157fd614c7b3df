import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { loadTopology } from '@troupe/topology';
import { openTopologyData } from './data.ts';
import { dataWarnings } from './data-warnings.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-few-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

/** What is said of so many documents, with sequences of four tokens. */
async function warnings(documents: number, ...set: readonly string[]): Promise<readonly string[]> {
  const path = join(folder, `${documents}.jsonl`);
  const lines = Array.from({ length: documents }, (_, i) => JSON.stringify({ text: `doc ${i} abcdefgh` }));
  writeFileSync(path, lines.join('\n'));
  const topology = loadTopology('tiny', {
    set: [`data={jsonl: ${path}, tokenizer: {kind: bytes}, holdout: 0.02}`, 'model.seqLen=4', ...set],
  });
  return dataWarnings(topology, await openTopologyData(topology));
}

test('dataWarnings: few documents of which none is held out', async (t) => {
  const [none, ...more] = await warnings(4, 'train.batch=4');
  t.deepEqual(more, []);
  t.regex(
    none ?? '',
    /^data\.holdout 0\.02 holds no document out, so there is no held-out loss; add documents/,
  );
  t.deepEqual(await warnings(4, 'train.batch=4', 'data.holdout=0'), [], 'nothing was to be held out');
  t.deepEqual(await warnings(400), []);
});

test('dataWarnings: fewer sequences than a step takes', async (t) => {
  const [few, ...more] = await warnings(4, 'data.holdout=0', 'train.batch=64');
  t.deepEqual(more, []);
  t.regex(few ?? '', /^the training text has \d+ sequences of 4 tokens, fewer than the 64 of a step/);
});

test('dataWarnings: synthetic tokens never run short', async (t) => {
  const topology = loadTopology('tiny', { set: ['data={synthetic: zipf}', 'train.batch=64'] });
  t.deepEqual(dataWarnings(topology, await openTopologyData(topology)), []);
});

test('dataWarnings: a task that leaves many texts out names the language that lacks most', async (t) => {
  const path = join(folder, 'pairs.tsv');
  const text = (i: number): string => `${i} ${'x'.repeat(i % 2 === 0 ? 3 : 90)}`;
  writeFileSync(path, Array.from({ length: 40 }, (_, i) => `${text(i)}\t${text(i)}!\n`).join(''));
  const data = `data={parallel: [{kind: tsv, file: ${path}, from: en, to: de}], tokenizer: {kind: bytes}, holdout: 0}`;
  const topology = loadTopology('tiny', {
    set: [data, 'model.seqLen=64', 'model.vocab=512', 'train.batch=4'],
  });
  const [found, ...more] = dataWarnings(topology, await openTopologyData(topology));
  t.deepEqual(more, []);
  t.regex(
    found ?? '',
    /^translation leaves out 20 of 40 texts of (?:en-de|de-en), and some of 1 other: no sequence holds them/,
  );
});

test('dataWarnings: no task is evaluated', async (t) => {
  const path = join(folder, 'unevaluated.tsv');
  writeFileSync(path, Array.from({ length: 40 }, (_, i) => `one ${i}\teins ${i}\n`).join(''));
  const data = `data={parallel: [{kind: tsv, file: ${path}, from: en, to: de}], tasks: [{kind: translation, evaluate: false}], tokenizer: {kind: bytes}, holdout: 0.2}`;
  const topology = loadTopology('tiny', {
    set: [data, 'model.seqLen=64', 'model.vocab=512', 'train.batch=4'],
  });
  const [none, ...more] = dataWarnings(topology, await openTopologyData(topology));
  t.deepEqual(more, []);
  t.regex(none ?? '', /^no task is evaluated \(data\.tasks: evaluate is false for all\)/);
});

test('dataWarnings: of the tokenizer of a checkpoint nobody asked for a size', async (t) => {
  const path = join(folder, 'short.txt');
  writeFileSync(path, 'a word or two, a word or two\n\n'.repeat(200));
  const topology = loadTopology('tiny', {
    set: [`data={text: ${path}, tokenizer: {kind: bpe}, holdout: 0}`, 'model.vocab=4096', 'model.seqLen=4'],
  });
  const data = await openTopologyData(topology);
  t.regex(dataWarnings(topology, data).join(), /^the tokenizer has \d+ tokens, 4096 were asked for/);
  t.deepEqual(dataWarnings(topology, data, true), []);
});
