import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import test from 'ava';
import * as fc from 'fast-check';
import { trainBpe } from './bpe-trainer.ts';
import { characterOfByte } from './byte-alphabet.ts';
import { byteLevelJson } from './byte-level-json.ts';
import { bytesTokenizer } from './bytes-tokenizer.ts';
import { ByteLevelTokenizer } from './byte-level-tokenizer.ts';
import { LibraryTokenizer } from './library-tokenizer.ts';
import { loadTokenizer, readTokenizer } from './load-tokenizer.ts';
import { vocabularyOf, type TokenizerJson } from './tokenizer-json.ts';
import type { Tokenizer } from './tokenizer.ts';

const fixtures = new URL('../../../test/fixtures/', import.meta.url);
const json = (path: string): unknown => JSON.parse(readFileSync(new URL(path, fixtures), 'utf8'));
const gunzipped = (path: string): unknown =>
  JSON.parse(gunzipSync(readFileSync(new URL(path, fixtures))).toString());
const lists = (ids: readonly Int32Array[]): number[][] => ids.map((each) => [...each]);
const byLibrary = (value: TokenizerJson): LibraryTokenizer =>
  new LibraryTokenizer(value, vocabularyOf(value.model), 'tokenizer.json', undefined);

interface Expected {
  readonly ids: readonly (readonly number[])[];
  readonly decoded: readonly string[];
  readonly vocab: number;
}
type Case = Expected & { readonly tokenizer: TokenizerJson };

async function decodedAll(tokenizer: Tokenizer, ids: readonly (readonly number[])[]): Promise<string[]> {
  const texts: string[] = [];
  for (const each of ids) texts.push(await tokenizer.decode(each));
  return texts;
}

for (const folder of ['tokenizer', 'tokenizer_split']) {
  test(`loadTokenizer: ${folder} gives the ids and texts of Hugging Face`, async (t) => {
    interface Golden {
      readonly strings: readonly {
        readonly text: string;
        readonly ids: readonly number[];
        readonly decoded: string;
        readonly decoded_skip_special: string;
      }[];
      readonly decode_only: readonly { readonly ids: readonly number[]; readonly decoded: string }[];
    }
    const tokenizer = readTokenizer(new URL(`${folder}/tokenizer.json`, fixtures).pathname);
    const { strings, decode_only } = json(`${folder}/expected.json`) as Golden;
    t.deepEqual([strings.length, decode_only.length], [44, 5]);
    const found = lists(await tokenizer.encodeAll(strings.map((each) => each.text)));
    for (const [index, { text, ids, decoded, decoded_skip_special }] of strings.entries()) {
      t.deepEqual(found[index], ids, JSON.stringify(text));
      t.is(await tokenizer.decode(ids), decoded);
      t.is(await tokenizer.decode(ids, { skipSpecial: true }), decoded_skip_special);
    }
    for (const { ids, decoded } of decode_only) t.is(await tokenizer.decode(ids), decoded);
    t.is(tokenizer.vocabSize, 512);
    t.is(tokenizer.endOfText, 0);
    t.true(tokenizer.isSpecial(0));
  });
}

test('loadTokenizer: files whose ids once went wrong give those of Python’s tokenizers', async (t) => {
  const { texts, cases } = gunzipped('tokenizer_reports/reports.json.gz') as {
    readonly texts: readonly string[];
    readonly cases: Readonly<Record<string, Case>>;
  };
  t.is(Object.keys(cases).length, 7);
  for (const [name, { tokenizer: value, ids, decoded, vocab }] of Object.entries(cases)) {
    const tokenizer = loadTokenizer(value, { name });
    t.deepEqual(lists(await tokenizer.encodeAll(texts)), ids, name);
    t.deepEqual(await decodedAll(tokenizer, ids), decoded, name);
    t.is(tokenizer.vocabSize, vocab, name);
  }
  const known: readonly (readonly [name: string, text: string, ids: readonly number[]])[] = [
    ['zerowidth', '1234567', [17, 325, 20, 21, 329]],
    ['superbpe', '12345678', [17, 18, 19, 298, 329, 24]],
    ['ign', 'toString', [84, 79, 840, 837]],
    ['lower', 'ΟΔΟΣ', [139, 344, 350, 332]],
    ['gap', '<|im_start|>', [900]],
    ['badid', '<|im_start|>', [900]],
    ['dup', 'foo', [669]],
  ];
  for (const [name, text, ids] of known) {
    const value = cases[name]?.tokenizer;
    t.deepEqual([...(await loadTokenizer(value).encode(text))], [...ids], name);
  }
});

test('loadTokenizer: the forms of eleven models, of T5 and of a trained BPE give the ids of Python’s tokenizers', async (t) => {
  const texts = gunzipped('tokenizer_models/strings.json.gz') as readonly string[];
  const cases = gunzipped('tokenizer_models/trimmed.json.gz') as Readonly<Record<string, Case>>;
  t.deepEqual([texts.length, new Set(texts).size > 450, Object.keys(cases).length], [500, true, 13]);
  const models = new Set<string>();
  for (const [name, { tokenizer: value, ids, decoded, vocab }] of Object.entries(cases)) {
    models.add(value.model.type);
    const tokenizer = loadTokenizer(value, { name });
    t.deepEqual(lists(await tokenizer.encodeAll(texts)), ids, name);
    t.deepEqual(await decodedAll(tokenizer, ids.slice(0, 100)), decoded.slice(0, 100), name);
    t.is(tokenizer.vocabSize, vocab, name);
  }
  t.deepEqual([...models].sort(), ['BPE', 'Unigram', 'WordPiece']);
});

test('ByteLevelTokenizer: gives what the library gives, for every code point and any text', async (t) => {
  const training = [
    'the keeper’s 12 ships passed',
    'été à la mer 灯台 灯台',
    "they'll  \n\n we've  x",
    '🚢🚢 ½½ ٣٤٥',
  ];
  const trained = await trainBpe(training, { vocab: 300, special: ['<|endoftext|>', '<|end|>', '<|end|>x'] });
  // `a` joins whatever follows, `1` whatever comes before, `!` whatever follows, where the split leaves them in one piece: so the ids
  // tell a letter from a number, a sign, and white space.
  const pairs = characterOfByte.flatMap((byte) => [
    ['a', byte] as const,
    [byte, '1'] as const,
    ['!', byte] as const,
  ]);
  const merges = [...new Map(pairs.map((pair) => [pair.join(' '), pair])).values()];
  const spellings = [...characterOfByte, ...new Set(merges.map((pair) => pair.join('')))];
  const vocab = Object.fromEntries(spellings.map((spelling, id) => [spelling, id]));
  const classes = ByteLevelTokenizer.own(byteLevelJson(vocab, merges, [], true));
  const points: string[] = [];
  for (let first = 0; first < 0x34000; first += 64) {
    if (first >= 0xd800 && first < 0xe000) continue;
    const block = Array.from({ length: 64 }, (_, i) => String.fromCodePoint(first + i));
    // Beyond are marks and private ones only.
    points.push(block.map((point) => `a${point}1 !${point}`).join(' '));
  }
  t.is(points.length, (0x34000 - 0x800) / 64);
  for (const own of [trained, classes, bytesTokenizer()]) {
    t.true(own instanceof ByteLevelTokenizer);
    const library = byLibrary(own.toJson());
    t.deepEqual([library.vocabSize, library.endOfText], [own.vocabSize, own.endOfText]);
    const texts = fc.sample(
      fc
        .array(
          fc.oneof(
            fc.string({ unit: 'binary', maxLength: 12 }),
            fc.constantFrom(...training, '<|end|>x', "'s", '<|endof'),
          ),
          {
            maxLength: 6,
          },
        )
        .map((parts) => parts.join('')),
      { numRuns: 500, seed: 17 },
    );
    const all = own === classes ? [...points, ...texts] : texts;
    const [ours, theirs] = [await own.encodeAll(all), await library.encodeAll(all)];
    for (const [index, text] of all.entries())
      if (Buffer.compare(Buffer.from(ours[index]!.buffer), Buffer.from(theirs[index]!.buffer)) !== 0)
        t.deepEqual([...ours[index]!], [...theirs[index]!], JSON.stringify(text));
    for (const ids of theirs.slice(-100))
      for (const skipSpecial of [true, false])
        t.is(await own.decode(ids, { skipSpecial }), await library.decode(ids, { skipSpecial }));
  }
});

test('LibraryTokenizer: a text that makes the library abort is one error, and the next text is encoded', async (t) => {
  const { cases } = gunzipped('tokenizer_reports/reports.json.gz') as {
    readonly cases: Record<string, Case>;
  };
  const value = cases['zerowidth']?.tokenizer;
  const split = { type: 'Split', pattern: { Regex: '(x+x+)+y' }, behavior: 'Isolated', invert: false };
  const tokenizer = loadTokenizer({ ...value, pre_tokenizer: split }, { name: 'evil.json' });
  const good = [...(await tokenizer.encode('xxxy'))];
  const error = await t.throwsAsync(tokenizer.encode('x'.repeat(60)), { code: 'TROUPE_DATA_TOKENIZER_TEXT' });
  t.is(
    error.message,
    'evil.json does not encode this text: Onig: Regex search error: retry-limit-in-match over',
  );
  t.deepEqual([...(await tokenizer.encode('xxxy'))], good);
});

test('LibraryTokenizer: what only the library finds wrong is one sentence with the file’s name', async (t) => {
  const { cases } = gunzipped('tokenizer_reports/reports.json.gz') as {
    readonly cases: Record<string, Case>;
  };
  const { tokenizer: value } = cases['zerowidth']!;
  const split = { type: 'Split', pattern: { Regex: 'a' }, behavior: 'Isolated', invert: false };
  const wrong: readonly (readonly [why: RegExp, value: unknown])[] = [
    [/unmatched parenthesis/, { ...value, pre_tokenizer: { ...split, pattern: { Regex: '(a' } } }],
    [/unknown variant `Sideways`/, { ...value, pre_tokenizer: { ...split, behavior: 'Sideways' } }],
    [/out of vocabulary/, { ...value, model: { ...value.model, merges: [['q', 'zzzz']] } }],
    [/Precompiled/, { ...value, normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAAA' } }],
    [/Unk|unk/, { ...value, model: { type: 'Unigram', vocab: [['a', 0.5]], unk_id: 7 } }],
  ];
  for (const [why, each] of wrong) {
    const error = await t.throwsAsync(loadTokenizer(each, { name: 'wrong.json' }).encode('a b'), {
      code: 'TROUPE_DATA_TOKENIZER',
    });
    t.regex(error.message, /^wrong\.json is not a usable tokenizer\.json: /u);
    t.regex(error.message, why);
    t.notRegex(error.message, /\n|at line/u);
  }
  // A table that is one by its length and none by its content: an error or ids, never the end of this process.
  const table = Buffer.from(Array.from({ length: 900 }, (_, i) => (i * 7919) % 251));
  table.writeUInt32LE(400, 0);
  const normalizer = { type: 'Precompiled', precompiled_charsmap: table.toString('base64') };
  const outcome = await loadTokenizer({ ...value, normalizer }, { name: 'wrong.json' })
    .encode('ａ b é')
    .catch((error: unknown) => error);
  t.true(outcome instanceof Int32Array || (outcome as Error).message.startsWith('wrong.json'));
  t.log(outcome);
});
