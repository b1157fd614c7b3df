import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { assert } from '@troupe/core';
import { loadTopology } from '@troupe/topology';
import { openTopologyData } from '../data.ts';
import { isTranslated } from './directions.ts';
import { translate, type TranslatingModel } from './translate.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-line-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

test('translate: a text stays in its line, whatever a model writes', async (t) => {
  const path = join(folder, 'pairs.tsv');
  writeFileSync(path, Array.from({ length: 40 }, (_, i) => `one ${i}\teins ${i}\n`).join(''));
  const data = `data={parallel: [{kind: tsv, file: ${path}, from: en, to: de}], tokenizer: {kind: bytes}, holdout: 0}`;
  const topology = loadTopology('tiny', { set: [data, 'model.seqLen=64', 'model.vocab=512'] });
  const { tokenizer } = await openTopologyData(topology);
  assert(tokenizer !== null, 'texts have a tokenizer', {});
  const ids = [...(await tokenizer.encode(' eins\r\n\nzwei\n'))];
  const write: TranslatingModel['write'] = async function* (requests) {
    for (const text of requests.map(() => ({ ids, ended: true, logProb: 0, score: 0 })))
      yield await Promise.resolve([text]);
  };
  const found: string[] = [];
  for await (const { text } of translate({ tokenizer, topology, write }, ['one', '', 'two'], {
    from: 'en',
    to: 'de',
  }))
    found.push(text);
  t.deepEqual(found, ['eins zwei', '', 'eins zwei']);
});

test('directions: what tasks name, else what texts have beside each other', (t) => {
  const seen = (parallel: string, tasks: string, from: string, to: string): boolean => {
    const data = `data={parallel: [${parallel}], tasks: [${tasks}], tokenizer: {kind: bytes}}`;
    const encoder = 'model.encoder={layers: 1, seqLen: 32}';
    return isTranslated(loadTopology('tiny', { set: [data, encoder, 'model.vocab=512'] }), { from, to });
  };
  const pairs = '{kind: tsv, file: a.tsv, from: en, to: de}, {kind: tsv, file: b.tsv, from: en, to: fr}';
  t.true(seen(pairs, '{kind: translation}', 'de', 'en'));
  t.false(seen(pairs, '{kind: translation}', 'de', 'fr'));
  t.true(seen(pairs, '{kind: translation, pairs: [en-de]}, {kind: translation, pairs: [fr-en]}', 'fr', 'en'));
  t.false(seen(pairs, '{kind: translation, pairs: [en-de]}', 'de', 'en'));
  t.false(seen(pairs, '{kind: denoising}', 'en', 'de'));
  const many = '{kind: typescript, languages: [de, fr]}';
  t.true(seen(many, '{kind: translation}', 'en', 'fr'));
  t.false(seen(many, '{kind: translation}', 'de', 'fr'));
});
