import { readFileSync } from 'node:fs';
import test from 'ava';
import * as fc from 'fast-check';
import { loadTokenizer } from './bpe-tokenizer.ts';
import { bytesTokenizer } from './bytes-tokenizer.ts';
import { textStream } from './text-stream.ts';
import type { TokenizerJson } from './tokenizer-json.ts';

interface Expected {
  readonly strings: readonly {
    readonly text: string;
    readonly ids: readonly number[];
    readonly tokens: readonly string[];
    readonly decoded: string;
    readonly decoded_skip_special: string;
  }[];
  readonly decode_only: readonly { readonly ids: readonly number[]; readonly decoded: string }[];
}

const fixture = (folder: string, file: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../test/fixtures/${folder}/${file}`, import.meta.url), 'utf8'));
const joined = (merge: string | readonly [string, string]): string =>
  typeof merge === 'string' ? merge : merge.join(' ');
const fixtureJson = (folder = 'tokenizer'): TokenizerJson =>
  fixture(folder, 'tokenizer.json') as TokenizerJson;

for (const folder of ['tokenizer', 'tokenizer_split']) {
  test(`loadTokenizer: ${folder} gives the ids, tokens and texts of Hugging Face`, (t) => {
    const tokenizer = loadTokenizer(fixtureJson(folder));
    const expected = fixture(folder, 'expected.json') as Expected;
    const spelling = new Map(
      Object.entries(fixtureJson(folder).model.vocab).map(([token, id]) => [id, token] as const),
    );
    t.is(expected.strings.length, 44);
    t.is(expected.decode_only.length, 5);
    for (const { text, ids, tokens, decoded, decoded_skip_special } of expected.strings) {
      const found = [...tokenizer.encode(text)];
      t.deepEqual(found, ids, JSON.stringify(text));
      t.deepEqual(
        found.map((id) => spelling.get(id)),
        tokens,
      );
      t.is(tokenizer.decode(ids), decoded);
      t.is(tokenizer.decode(ids, { skipSpecial: true }), decoded_skip_special);
    }
    for (const { ids, decoded } of expected.decode_only) t.is(tokenizer.decode(ids), decoded);
    t.is(tokenizer.vocabSize, 512);
    t.is(tokenizer.endOfText, 0);
  });
}

test('tokenizers: any text without lone surrogates survives the way there and back', (t) => {
  const tokenizers = [bytesTokenizer(), loadTokenizer(fixtureJson())];
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.nat(1), (text, which) => {
      const tokenizer = tokenizers[which] ?? bytesTokenizer();
      return (
        tokenizer.decode(tokenizer.encode(text)) ===
        new TextDecoder().decode(new TextEncoder().encode(`x${text}`)).slice(1)
      );
    }),
  );
  t.pass();
});

test('tokenizers: a long piece merges as the short algorithm does', (t) => {
  const json = fixtureJson();
  const tokenizer = loadTokenizer(json);
  const vocab = json.model.vocab;
  const ranks = new Map(json.model.merges.map((merge, rank) => [joined(merge), rank] as const));
  const slow = (text: string): number[] => {
    const symbols = text.split('');
    for (;;) {
      let best = Infinity;
      let at = -1;
      for (let i = 0; i + 1 < symbols.length; i++) {
        const rank = ranks.get(`${symbols[i]} ${symbols[i + 1]}`) ?? Infinity;
        if (rank < best) [best, at] = [rank, i];
      }
      if (at < 0) return symbols.map((symbol) => vocab[symbol] ?? -1);
      symbols.splice(at, 2, `${symbols[at]}${symbols[at + 1]}`);
    }
  };
  const word = fc
    .array(fc.constantFrom(...'aehlnorst'.split('')), { minLength: 30, maxLength: 300 })
    .map((letters) => letters.join(''));
  fc.assert(
    fc.property(word, (text) => JSON.stringify([...tokenizer.encode(text)]) === JSON.stringify(slow(text))),
  );
  t.pass();
});

test('textStream: holds back cut characters and loses nothing', (t) => {
  const tokenizer = bytesTokenizer();
  const stream = textStream(tokenizer);
  const pieces = [...tokenizer.encode('é🚢x')].map((id) => stream.push(id));
  t.deepEqual(pieces, ['', 'é', '', '', '', '🚢', 'x']);
  t.is(stream.end(), '');
  t.is(stream.push(0xf0) + stream.end(), '\ufffd');
  fc.assert(
    fc.property(fc.array(fc.nat(256), { maxLength: 40 }), (ids) => {
      const pushed = ids.map((id) => stream.push(id)).join('') + stream.end();
      return pushed === tokenizer.decode(ids);
    }),
  );
});

test('bytesTokenizer: ids are bytes, the end of text is 256', (t) => {
  const tokenizer = bytesTokenizer();
  t.deepEqual([...tokenizer.encode('aé<|endoftext|>')], [0x61, 0xc3, 0xa9, 256]);
  t.is(tokenizer.vocabSize, 257);
  t.is(tokenizer.endOfText, 256);
  t.is(loadTokenizer(tokenizer.toJson()).fingerprint, tokenizer.fingerprint);
});

test('loadTokenizer: the order of members does not change the fingerprint, content does', (t) => {
  const json = fixtureJson();
  const reordered = Object.fromEntries(Object.entries(json).reverse());
  t.is(loadTokenizer(reordered).fingerprint, loadTokenizer(json).fingerprint);
  const fewer = { ...json, model: { ...json.model, merges: json.model.merges.slice(0, -1) } };
  t.not(loadTokenizer(fewer).fingerprint, loadTokenizer(json).fingerprint);
  t.is(loadTokenizer(json).fingerprint.length, 64);
});

test('loadTokenizer: old files with merges as "a b" mean the same', (t) => {
  const json = fixtureJson();
  const old = {
    ...json,
    model: { ...json.model, merges: json.model.merges.map((merge) => joined(merge)) },
  };
  t.deepEqual(loadTokenizer(old).encode('the lighthouse'), loadTokenizer(json).encode('the lighthouse'));
});

test('loadTokenizer: ignore_merges takes a whole piece that is in the vocabulary', (t) => {
  const json = fixtureJson();
  const model = { ...json.model, ignore_merges: true, vocab: { ...json.model.vocab, Ġzzz: 512 } };
  t.deepEqual([...loadTokenizer({ ...json, model }).encode(' zzz')], [512]);
});

test('loadTokenizer: names each feature it does not support', (t) => {
  const json = fixtureJson();
  const added = json.added_tokens[0];
  const { ['!']: _, ...withoutByte } = json.model.vocab;
  const cases: readonly (readonly [feature: RegExp, json: unknown])[] = [
    [/the model Unigram/, { ...json, model: { ...json.model, type: 'Unigram' } }],
    [/byte_fallback/, { ...json, model: { ...json.model, byte_fallback: true } }],
    [/end_of_word_suffix/, { ...json, model: { ...json.model, end_of_word_suffix: '</w>' } }],
    [/dropout/, { ...json, model: { ...json.model, dropout: 0.1 } }],
    [/the normalizer Precompiled/, { ...json, normalizer: { type: 'Precompiled' } }],
    [/not byte-level/, { ...json, pre_tokenizer: { type: 'Metaspace' } }],
    [/the decoder Metaspace/, { ...json, decoder: { type: 'Metaspace' } }],
    [/lstrip/, { ...json, added_tokens: [{ ...added, lstrip: true }] }],
    [/without byte 0x21/, { ...json, model: { ...json.model, vocab: withoutByte } }],
  ];
  for (const [feature, changed] of cases) {
    const error = t.throws(() => loadTokenizer(changed), { code: 'TROUPE_DATA_TOKENIZER_FEATURE' });
    t.regex(error?.message ?? '', feature);
  }
});

test('loadTokenizer: refuses what is no tokenizer or contradicts itself', (t) => {
  const json = fixtureJson();
  const code = 'TROUPE_DATA_TOKENIZER';
  t.throws(() => loadTokenizer([]), { code });
  t.throws(() => loadTokenizer({}), { code });
  t.throws(() => loadTokenizer({ ...json, model: { ...json.model, merges: [['q', 'zzzz']] } }), {
    code,
    message: /q and zzzz/,
  });
  t.throws(() => loadTokenizer(json, { endOfText: '</s>' }), { code, message: /<\/s>/ });
});
