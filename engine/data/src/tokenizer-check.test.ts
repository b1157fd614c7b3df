import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { loadTokenizer, readTokenizer } from './load-tokenizer.ts';
import type { TokenizerJson } from './tokenizer-json.ts';

const url = new URL('../../../test/fixtures/tokenizer/tokenizer.json', import.meta.url);
const fixture = JSON.parse(readFileSync(url, 'utf8')) as TokenizerJson;
const added = fixture.added_tokens[0]!;
const split = (pattern: unknown): unknown => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior: 'Isolated',
  invert: false,
});
const withModel = (model: unknown): unknown => ({
  ...fixture,
  model: { ...fixture.model, ...(model as object) },
});
const nested = (levels: number): unknown => {
  let value: unknown = { type: 'NFC' };
  for (let level = 0; level < levels; level++) value = { type: 'Sequence', normalizers: [value] };
  return value;
};

/** What is wrong with a parsed file, and what the sentence says of it. */
const wrong: readonly (readonly [says: RegExp, value: unknown])[] = [
  [/it is null, expected an object/, null],
  [/it is a list/, []],
  [/it has no model/, {}],
  [/added_tokens\[0\] is null, expected an object/, { ...fixture, added_tokens: [null] }],
  [/added_tokens is 5, expected a list/, { ...fixture, added_tokens: 5 }],
  [/content is missing, expected a string/, { ...fixture, added_tokens: [{ id: 0 }] }],
  [
    /"<\|endoftext\|>" has the id 2000000000, expected an integer/,
    { ...fixture, added_tokens: [{ ...added, id: 2e9 }] },
  ],
  [/special is "yes", expected true or false/, { ...fixture, added_tokens: [{ ...added, special: 'yes' }] }],
  [
    /normalizer\.normalizers is 5, expected a list/,
    { ...fixture, normalizer: { type: 'Sequence', normalizers: 5 } },
  ],
  [/normalizers\[0\] is null/, { ...fixture, normalizer: { type: 'Sequence', normalizers: [null] } }],
  [/normalizer is "NFC", expected an object/, { ...fixture, normalizer: 'NFC' }],
  [/normalizer has no type/, { ...fixture, normalizer: {} }],
  [/more than 64 components/, { ...fixture, normalizer: nested(100) }],
  [/has 100000 characters, more than 4096/, { ...fixture, pre_tokenizer: split('a|'.repeat(50_000)) }],
  [/names \\x\{110000\}, beyond the last code point/, { ...fixture, pre_tokenizer: split('\\x{110000}') }],
  [/length is 0, expected at least 1/, { ...fixture, pre_tokenizer: { type: 'FixedLength', length: 0 } }],
  [
    /content has 100000 characters/,
    { ...fixture, normalizer: { type: 'Replace', pattern: { String: 'a' }, content: 'b'.repeat(100_000) } },
  ],
  [/stop is 1e\+99, beyond/, { ...fixture, decoder: { type: 'Strip', content: 'a', start: 0, stop: 1e99 } }],
  [/model\.vocab is a list/, withModel({ vocab: [] })],
  [/model\.vocab is empty/, withModel({ vocab: {} })],
  [/"a" has the id null/, withModel({ vocab: { a: null } })],
  [/"a" has the id 2000000000/, withModel({ vocab: { a: 2e9 } })],
  [/"a" has the id -1/, withModel({ vocab: { a: -1 } })],
  [/"a" has the id 0\.5/, withModel({ vocab: { a: 0.5 } })],
  [/model\.merges is 5, expected a list/, withModel({ merges: 5 })],
  [/merges\[0\] is "a b c", expected two/, withModel({ merges: ['a b c'] })],
  [/merges\[1\] is a list, expected two/, withModel({ merges: ['a b', ['a', null]] })],
  [/vocab\[0\] is null, expected a spelling and a score/, withModel({ type: 'Unigram', vocab: [null] })],
  [/nested deeper than 64/, { ...fixture, post_processor: nested(100) }],
];

test('loadTokenizer: what is wrong is one sentence with the name of the file', (t) => {
  for (const [says, value] of wrong) {
    const error = t.throws(() => loadTokenizer(value, { name: 'bad.json' }), {
      code: 'TROUPE_DATA_TOKENIZER',
    });
    t.regex(error.message, says);
    t.regex(error.message, /^bad\.json is not a usable tokenizer\.json: [^\n]{1,300}$/u);
  }
});

test('loadTokenizer: names each feature that the library does not have, and chance', (t) => {
  const features: readonly (readonly [says: RegExp, value: unknown])[] = [
    [/the model "Neural"/, withModel({ type: 'Neural' })],
    [/dropout/, withModel({ dropout: 0.1 })],
    [/the normalizer "Magic"/, { ...fixture, normalizer: { type: 'Magic' } }],
    [/the pre_tokenizer "constructor"/, { ...fixture, pre_tokenizer: { type: 'constructor' } }],
    [/the decoder "NFC"/, { ...fixture, decoder: { type: 'NFC' } }],
  ];
  for (const [says, value] of features) {
    const error = t.throws(() => loadTokenizer(value, { name: 'bad.json' }), {
      code: 'TROUPE_DATA_TOKENIZER_FEATURE',
    });
    t.regex(error.message, says);
    t.true(error.message.startsWith('bad.json uses '));
  }
});

const text = JSON.stringify(fixture);
/** Files that are small and would cost much, or are no JSON at all. */
const files: readonly (readonly [name: string, says: RegExp, content: string | Uint8Array])[] = [
  ['empty', /not JSON/, ''],
  ['cut', /not JSON/, text.slice(0, 900)],
  ['latin-1', /not UTF-8/, Uint8Array.from([0x22, 0xe9, 0x22])],
  ['deep-lists', /nested deeper than 64/, '['.repeat(1_000_000)],
  ['deep-objects', /nested deeper than 64/, '{"a":'.repeat(1_000_000)],
  ['many-lists', /lists and objects, more than/, `[${'[],'.repeat(4_000_000)}[]]`],
  [
    'many-members',
    /members, more than/,
    `{${Array.from({ length: 1_500_000 }, (_, i) => `"${i}":1`).join(',')}}`,
  ],
  ['many-values', /values, more than/, `[${'1,'.repeat(8_000_000)}1]`],
  ['one-string', /a string at byte 0 is longer/, `"${'a'.repeat(20_000_000)}"`],
  ['huge-id', /has the id 2000000000/, text.replace('"id":0', '"id":2000000000')],
  ['huge-number', /has the id null/, text.replace('"id":0', '"id":1e999')],
  [
    'long-pattern',
    /has 100000 characters/,
    JSON.stringify({ ...fixture, pre_tokenizer: split('(a'.repeat(50_000)) }),
  ],
];

/** Reads the file in a process of its own; what it said, its processor time and how much more memory than at its start it held. */
const probe = `
  const { readTokenizer } = await import(process.argv[1]);
  const [before, cpu] = [process.resourceUsage().maxRSS, process.cpuUsage()];
  let said = 'nothing';
  try { readTokenizer(process.argv[2]); } catch (error) { said = error.code + ' ' + error.message; }
  const { user, system } = process.cpuUsage(cpu);
  console.log(JSON.stringify({ said, ms: (user + system) / 1000, megabytes: (process.resourceUsage().maxRSS - before) / 1024 }));
`;

test('readTokenizer: a hostile file costs a second and 100 MB beyond its size at most', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-tokenizer-'));
  const module = new URL('load-tokenizer.js', import.meta.url).href;
  try {
    for (const [name, says, content] of files) {
      const path = join(folder, `${name}.json`);
      writeFileSync(path, content);
      const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', probe, module, path], {
        encoding: 'utf8',
      });
      const { said, ms, megabytes } = JSON.parse(stdout) as { said: string; ms: number; megabytes: number };
      t.regex(said, says);
      t.true(said.startsWith(`TROUPE_DATA_TOKENIZER ${path} is not a usable tokenizer.json: `), said);
      t.notRegex(said, /\n/u);
      t.log(`${name}: ${Math.round(ms)} ms of processor, ${Math.round(megabytes)} MB`);
      t.true(ms < 1000, `${name}: ${ms} ms of processor`);
      t.true(megabytes < 100 + statSync(path).size / 2 ** 20, `${name}: ${megabytes} MB`);
    }
    const large = join(folder, 'large.json');
    writeFileSync(large, '');
    truncateSync(large, 3 * 2 ** 30);
    t.throws(() => readTokenizer(large), {
      code: 'TROUPE_DATA_TOKENIZER',
      message: /3221225472 bytes, more than/,
    });
    t.throws(() => readTokenizer(folder), { code: 'TROUPE_DATA_UNREADABLE' });
    t.throws(() => readTokenizer(join(folder, 'none.json')), { code: 'TROUPE_DATA_UNREADABLE' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
