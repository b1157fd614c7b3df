import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { documentSource } from './document-source.ts';
import type { Documents } from './documents.ts';
import { jsonlDocuments } from './jsonl.ts';
import { textFileDocuments } from './text-files.ts';
import { wordnetDocuments } from './wordnet.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-sources-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function textsOf(documents: Documents): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of documents) texts.push(text);
  return texts;
}

test('wordnetDocuments: 117,791 glosses with stable ids, clean white space', (t) => {
  const documents = [...wordnetDocuments()];
  t.is(documents.length, 117_791);
  t.deepEqual(documents[0], {
    id: 'n00001740',
    text: 'that which is perceived or known or inferred to have its own distinct existence (living or nonliving)',
  });
  t.is(new Set(documents.map(({ id }) => id)).size, documents.length);
  t.false(
    documents.some(
      ({ text }) => text === '' || text !== text.trim() || /\s{2}|[^\S ]|Princeton University or/.test(text),
    ),
  );
  const counts: Record<string, number> = {};
  for (const { id } of documents) counts[id.charAt(0)] = (counts[id.charAt(0)] ?? 0) + 1;
  t.deepEqual(counts, { n: 82_192, v: 13_789, a: 18_185, r: 3625 });
});

test('textFileDocuments: blank lines separate documents, line ends are one', async (t) => {
  const path = file('a.txt', '\ufeffone\r\ntwo\r\n\r\n \nthree\n\n\nfour');
  const documents = [];
  for await (const document of textFileDocuments(path)) documents.push(document);
  t.deepEqual(documents, [
    { id: 'a.txt#0', text: 'one\ntwo' },
    { id: 'a.txt#1', text: 'three' },
    { id: 'a.txt#2', text: 'four' },
  ]);
  t.deepEqual(await textsOf(textFileDocuments(path, { document: 'file' })), [
    'one\ntwo\n\n \nthree\n\n\nfour',
  ]);
  t.deepEqual(await textsOf(textFileDocuments(file('empty.txt', ''))), []);
});

test('textFileDocuments: a character cut by a chunk stays whole, gzip is unpacked', async (t) => {
  const text = `${'é🚢'.repeat(400_000)}x`;
  t.deepEqual(await textsOf(textFileDocuments(file('long.txt', text))), [text]);
  t.deepEqual(await textsOf(textFileDocuments(file('long.txt.gz', gzipSync(text)))), [text]);
});

test('jsonlDocuments: reads a field of each line, plain and gzip', async (t) => {
  const lines = '{"text":"one","t":"uno"}\n\n{"text":"tw\\no"}\r\n{"text":""}\n{"text":"three"}';
  t.deepEqual(await textsOf(jsonlDocuments(file('a.jsonl', lines))), ['one', 'tw\no', 'three']);
  t.deepEqual(await textsOf(jsonlDocuments(file('a.jsonl.gz', gzipSync(lines)))), ['one', 'tw\no', 'three']);
  t.deepEqual(await textsOf(jsonlDocuments(file('b.jsonl', '{"t":"uno"}'), 't')), ['uno']);
});

test('jsonlDocuments: a bad line is named by file and line', async (t) => {
  const code = 'TROUPE_DATA_LINE';
  const bad = file('bad.jsonl', '{"text":"one"}\n\n{"text":');
  await t.throwsAsync(textsOf(jsonlDocuments(bad)), { code, message: /bad\.jsonl:3: not JSON/ });
  const missing = file('missing.jsonl', '{"text":"one"}\n{"body":"x","n":1}');
  await t.throwsAsync(textsOf(jsonlDocuments(missing)), {
    code,
    message: /:2: field 'text' is missing; fields here: body, n/,
  });
  await t.throwsAsync(textsOf(jsonlDocuments(file('n.jsonl', '{"text":7}'))), {
    code,
    message: /not a string/,
  });
  await t.throwsAsync(textsOf(jsonlDocuments(file('l.jsonl', '["x"]'))), {
    code,
    message: /not a JSON object/,
  });
});

test('sources: an unreadable file is named with the reason', async (t) => {
  const code = 'TROUPE_DATA_UNREADABLE';
  const none = join(folder, 'none.txt');
  await t.throwsAsync(textsOf(textFileDocuments(none)), { code, message: /none\.txt: no such file/ });
  await t.throwsAsync(textsOf(textFileDocuments(`${none}.gz`)), {
    code,
    message: /none\.txt\.gz: no such file/,
  });
  await t.throwsAsync(textsOf(textFileDocuments(folder)), { code, message: /it is a folder/ });
  await t.throwsAsync(textsOf(textFileDocuments(file('x.gz', 'plain'))), { code, message: /damaged gzip/ });
  const cut = gzipSync('some text that is long enough').subarray(0, 20);
  await t.throwsAsync(textsOf(textFileDocuments(file('cut.gz', cut))), { code, message: /end too early/ });
  await t.throwsAsync(textsOf(textFileDocuments(file('latin.txt', Uint8Array.of(0x63, 0xe9, 0x0a)))), {
    code,
    message: /not UTF-8/,
  });
  t.throws(() => documentSource({ text: none }), { code, message: /none\.txt: no such file/ });
});

test('documentSource: exactly one source, several files in turn, own texts twice', async (t) => {
  const code = 'TROUPE_DATA_CONFIG';
  t.throws(() => documentSource({}), { code, message: /no source/ });
  t.throws(() => documentSource({ source: 'wordnet', text: 'a' }), { code, message: /source, text/ });
  t.throws(() => documentSource({ source: 'gutenberg' as 'wordnet' }), { code, message: /gutenberg/ });
  const paths = [file('1.txt', 'one'), file('2.txt', 'two')];
  t.deepEqual(await textsOf(documentSource({ text: paths }).documents()), ['one', 'two']);
  const once = (function* () {
    yield* ['x', 'y'];
  })();
  const own = documentSource({ source: once });
  t.deepEqual(await textsOf(own.documents()), ['x', 'y']);
  t.deepEqual(await textsOf(own.documents()), ['x', 'y']);
  t.is(own.identity, null);
});

test('documentSource: the identity changes with the file and the way it is cut', (t) => {
  const path = file('i.txt', 'one');
  const first = documentSource({ text: path }).identity;
  t.is(documentSource({ text: path }).identity, first);
  t.not(documentSource({ text: path, document: 'file' }).identity, first);
  file('i.txt', 'longer');
  t.not(documentSource({ text: path }).identity, first);
});
