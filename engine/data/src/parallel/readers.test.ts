import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { helpPairs, helpParagraphs } from './help-pages.ts';
import { jsonlPairs } from './jsonl-pairs.ts';
import { linePairs } from './line-pairs.ts';
import { parsePluralRule, pluralRuleOf } from './plural-rule.ts';
import { poPairs } from './po-pairs.ts';
import type { TextPairs } from './text-pair.ts';
import { tsvPairs } from './tsv-pairs.ts';
import { typescriptLanguages, typescriptPairs } from './typescript-messages.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-parallel-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

/** Source, target and document of each pair. */
async function rowsOf(pairs: TextPairs): Promise<string[][]> {
  const rows: string[][] = [];
  for await (const { source, target, document } of pairs) rows.push([source, target, document]);
  return rows;
}

const between = { from: 'en', to: 'de' };

test('linePairs: line i belongs to line i; lines that are blank in both files separate documents', async (t) => {
  const source = file('a.en', 'one\r\n  two   words \n\nthree\nfour\n\n');
  const target = file('a.de', 'eins\nzwei Worte\n\n\nvier');
  t.deepEqual(await rowsOf(linePairs({ ...between, source, target })), [
    ['one', 'eins', 'a.en#0'],
    ['two words', 'zwei Worte', 'a.en#0'],
    ['four', 'vier', 'a.en#1'],
  ]);
  const plain = { source: file('b.en.gz', gzipSync('one\ntwo')), target: file('b.de', 'eins\nzwei\n') };
  t.deepEqual(await rowsOf(linePairs({ ...between, ...plain })), [
    ['one', 'eins', 'b.en.gz:1'],
    ['two', 'zwei', 'b.en.gz:2'],
  ]);
  await t.throwsAsync(rowsOf(linePairs({ ...between, source, target: plain.target })), {
    code: 'TROUPE_DATA_UNREADABLE',
    message: /b\.de: 2 lines, but .*a\.en has 5; line i of one file must be the translation/,
  });
});

test('tsvPairs: source, target, document; a line without a tab is named', async (t) => {
  const path = file('a.tsv', 'one\teins\n\ntwo\tzwei\tpage\textra\n\tleer\nthree\tdrei\t');
  t.deepEqual(await rowsOf(tsvPairs({ ...between, file: path })), [
    ['one', 'eins', 'a.tsv:1'],
    ['two', 'zwei', 'page'],
    ['three', 'drei', 'a.tsv:5'],
  ]);
  await t.throwsAsync(rowsOf(tsvPairs({ ...between, file: file('bad.tsv', 'one\teins\ntwo zwei') })), {
    code: 'TROUPE_DATA_LINE',
    message: /bad\.tsv:2: no tab;/,
  });
});

test('jsonlPairs: two members of each object, by default those of the languages', async (t) => {
  const path = file(
    'a.jsonl',
    '{"en":"one","de":"eins","document":"d"}\n{"en":"two","de":"zwei\\n!"}\n{"en":"","de":"x"}',
  );
  t.deepEqual(await rowsOf(jsonlPairs({ ...between, file: path })), [
    ['one', 'eins', 'd'],
    ['two', 'zwei !', 'a.jsonl:2'],
  ]);
  const other = file('b.jsonl', '{"src":"one","mt":"eins","page":"p"}');
  t.deepEqual(
    await rowsOf(jsonlPairs({ ...between, file: other, fields: ['src', 'mt'], document: 'page' })),
    [['one', 'eins', 'p']],
  );
  await t.throwsAsync(rowsOf(jsonlPairs({ ...between, file: other })), {
    code: 'TROUPE_DATA_LINE',
    message: /b\.jsonl:1: field 'en' is missing; fields here: src, mt, page; set fields/,
  });
});

const catalogue = String.raw`# A translator's comment
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);\n"

#. extracted
#: src/open.c:12 src/close.c:3
msgctxt "menu"
msgid "Open \"%s\"\tnow"
msgstr "\303\226ffnen \x22%s\x22"

#: src/open.c:90
#, c-format, fuzzy
msgid "unsure"
msgstr "vielleicht"

msgid "one file"
msgid_plural "%d files"
msgstr[0] "%d файл"
msgstr[1] "%d файла"
msgstr[2] "%d файлов"
#, fuzzy
#~ msgid "old"
#~ msgstr "alt"

msgid ""
"many "
"lines\n"
"here"
msgstr ""
"viele "
"Zeilen"
msgid "not translated"
msgstr ""
`;

test('poPairs: contexts, escapes, plurals and strings of several lines; neither fuzzy nor obsolete nor untranslated ones', async (t) => {
  const path = file('ru.po', catalogue.replace(String.raw`\303\226`, 'Ö'));
  t.deepEqual(await rowsOf(poPairs({ from: 'en', to: 'ru', file: path })), [
    ['Open "%s" now', 'Öffnen "%s"', 'src/open.c'],
    ['one file', '%d файл', 'ru.po:18'],
    ['%d files', '%d файлов', 'ru.po:18'],
    ['many lines here', 'viele Zeilen', 'ru.po:27'],
  ]);
  const one = catalogue
    .replace(/nplurals=3.*;/, String.raw`nplurals=1; plural=0;\n"`)
    .replace(String.raw`\n"\n"`, String.raw`\n"`);
  const pairs = await rowsOf(poPairs({ from: 'en', to: 'ja', file: file('ja.po', one) }));
  t.deepEqual(
    pairs.filter(([, target]) => target?.includes('файл')),
    [['%d files', '%d файл', 'ja.po:18']],
  );
  await t.throwsAsync(rowsOf(poPairs({ ...between, file: file('bad.po', 'msgid "a"\nmsgstr "b\n') })), {
    code: 'TROUPE_DATA_LINE',
    message: /bad\.po:2: 'msgstr "b' is no line of a gettext catalogue/,
  });
  await t.throwsAsync(rowsOf(poPairs({ ...between, file: file('bad2.po', '"a"') })), {
    message: /bad2\.po:1:/,
  });
});

test('parsePluralRule: reads the expressions of real catalogues as C does', (t) => {
  const forms = (expression: string, counts: readonly number[]): (number | undefined)[] =>
    counts.map((count) => parsePluralRule(expression)?.(count));
  t.deepEqual(forms('(n != 1)', [0, 1, 2]), [1, 0, 1]);
  t.deepEqual(forms('n>1', [0, 1, 2]), [0, 0, 1]);
  const arabic = 'n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5';
  t.deepEqual(forms(arabic, [0, 1, 2, 5, 11, 100]), [0, 1, 2, 3, 4, 5]);
  t.deepEqual(forms('!(n-1) || 7/2*2 == n+2', [1, 4, 3]), [1, 1, 0]);
  for (const bad of ['', 'n ==', '(n', 'n ? 1', 'm != 1', 'n 1', 'n ? 1 : ;'])
    t.is(parsePluralRule(bad), null, bad);
  t.is(pluralRuleOf('Language: de\nPlural-Forms: nplurals=2; plural=process.exit(1);\n')(1), 0);
});

test('typescriptPairs: 13 languages with the messages of the compiler, each key a document of all of them', (t) => {
  t.is(typescriptLanguages().length, 13);
  const pairs = [...typescriptPairs(['de', 'ja'])];
  t.true(pairs.length > 2 * 2100, `${pairs.length}`);
  const byDocument = pairs.filter(
    ({ document }) => document === 'typescript/Unterminated_string_literal_1002',
  );
  t.deepEqual(byDocument, [
    {
      from: 'en',
      to: 'de',
      source: 'Unterminated string literal.',
      target: 'Nicht abgeschlossenes Zeichenfolgenliteral.',
      document: 'typescript/Unterminated_string_literal_1002',
    },
    {
      from: 'en',
      to: 'ja',
      source: 'Unterminated string literal.',
      target: '未終了の文字列リテラルです。',
      document: 'typescript/Unterminated_string_literal_1002',
    },
  ]);
  t.throws(() => [...typescriptPairs(['xx'])], {
    code: 'TROUPE_DATA_CONFIG',
    message: /no messages in xx; choose from cs, de,/,
  });
});

const page = (...paragraphs: string[]): string =>
  `<html><p id="bm_module"></p>${paragraphs.join('\n')}</html>`;

test('helpParagraphs: text by id, entities, the usual one of several systems', (t) => {
  const html = page(
    '<h1 id="hd_id1" dir="auto">Open &amp;\n close</h1>',
    '<p id="par_id2" class="paragraph">Press <span id="s" class="switchinline"><span hidden="true" id="MACtext1" class="MAC">Command</span><span hidden="true" id="defaulttext1"><span class="key">Ctrl</span></span></span>+A&lt;b&gt; <a href="x">here</a>.</p>',
    '<p id="par_id3"><img alt="Icon"> 1 + 2</p>',
    '<p class="unnamed">x</p><p id="par_id4">a<br>b</p><p id="par_id4">again</p>',
  );
  t.deepEqual(
    [...helpParagraphs(html)],
    [
      ['hd_id1', 'Open & close'],
      ['par_id2', 'Press Ctrl+A<b> here.'],
      ['par_id4', 'a b'],
    ],
  );
});

test('helpPairs: paragraphs with one id in one page; what is the same as in English is left out', async (t) => {
  const root = join(folder, 'help');
  file(
    'help/en-US/text/b/x.html',
    page('<p id="p1">one</p>', '<p id="p2">LibreOffice</p>', '<p id="p3">alone</p>'),
  );
  file('help/en-US/text/a.html', page('<p id="p1">two</p>'));
  file(
    'help/de/text/b/x.html',
    page('<p id="p2">LibreOffice</p>', '<p id="p1">eins</p>', '<p id="p9">neu</p>'),
  );
  file('help/de/text/a.html', page('<p id="p1">zwei</p>'));
  file('help/fr/text/c.html', page('<p id="p1">rien</p>'));
  file('help/media/icon.html', 'no language');
  const rows = [
    ['two', 'zwei', 'a.html'],
    ['one', 'eins', 'b/x.html'],
  ];
  t.deepEqual(await rowsOf(helpPairs({ folder: root })), rows);
  t.deepEqual(await rowsOf(helpPairs({ folder: root, languages: ['de'] })), rows);
  t.throws(() => [...helpPairs({ folder: root, languages: ['it'] })], {
    message: /has no language it; choose from de, fr/,
  });
  t.throws(() => [...helpPairs({ folder: join(folder, 'help/de') })], { message: /no folder en-US; unpack/ });
  t.throws(() => [...helpPairs({ folder: join(folder, 'none') })], { code: 'TROUPE_DATA_UNREADABLE' });
});
