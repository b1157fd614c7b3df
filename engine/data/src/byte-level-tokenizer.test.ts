import { readFileSync } from 'node:fs';
import test from 'ava';
import * as fc from 'fast-check';
import { trainBpe } from './bpe-trainer.ts';
import { byteLevelJson, END_OF_TEXT } from './byte-level-json.ts';
import { ByteLevelTokenizer } from './byte-level-tokenizer.ts';
import { bytesTokenizer } from './bytes-tokenizer.ts';
import { LibraryTokenizer } from './library-tokenizer.ts';
import { loadTokenizer } from './load-tokenizer.ts';
import type { TokenizerJson, VocabularyJson } from './tokenizer-json.ts';

const url = new URL('../../../test/fixtures/tokenizer/tokenizer.json', import.meta.url);
const { model: trainedElsewhere } = JSON.parse(readFileSync(url, 'utf8')) as TokenizerJson;
const vocabulary = trainedElsewhere.vocab as VocabularyJson;
const joined = (merge: string | readonly [string, string]): string =>
  typeof merge === 'string' ? merge : merge.join(' ');
const merges = (trainedElsewhere.merges ?? []).map((merge) => joined(merge).split(' ') as [string, string]);
/** Its vocabulary and merges in the form that Troupe writes. */
const fixture = byteLevelJson(vocabulary, merges, [[END_OF_TEXT, 0]], true);

test('ByteLevelTokenizer: any text without lone surrogates survives the way there and back', async (t) => {
  const trained = await trainBpe(['the ships that passed', 'été 灯台'], { vocab: 300 });
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 60 }), fc.boolean(), async (text, bytes) => {
      const tokenizer = bytes ? bytesTokenizer() : trained;
      return (await tokenizer.decode(await tokenizer.encode(text))) === text;
    }),
  );
  t.pass();
});

test('ByteLevelTokenizer: a long piece merges as the short algorithm does', async (t) => {
  const tokenizer = loadTokenizer(fixture);
  t.true(tokenizer instanceof ByteLevelTokenizer);
  const ranks = new Map(merges.map((merge, rank) => [joined(merge), rank] as const));
  const slow = (text: string): number[] => {
    const symbols = text.split('');
    for (;;) {
      let best = Infinity;
      let at = -1;
      for (let i = 0; i + 1 < symbols.length; i++) {
        const rank = ranks.get(`${symbols[i]} ${symbols[i + 1]}`) ?? Infinity;
        if (rank < best) [best, at] = [rank, i];
      }
      if (at < 0) return symbols.map((symbol) => vocabulary[symbol] ?? -1);
      symbols.splice(at, 2, `${symbols[at]}${symbols[at + 1]}`);
    }
  };
  const word = fc
    .array(fc.constantFrom(...'aehlnorst'.split('')), { minLength: 30, maxLength: 300 })
    .map((letters) => letters.join(''));
  await fc.assert(
    fc.asyncProperty(
      word,
      async (text) => JSON.stringify([...(await tokenizer.encode(text))]) === JSON.stringify(slow(text)),
    ),
  );
});

test('bytesTokenizer: ids are bytes, the end of text is 256', async (t) => {
  const tokenizer = bytesTokenizer();
  t.deepEqual([...(await tokenizer.encode('aé<|endoftext|>'))], [0x61, 0xc3, 0xa9, 256]);
  t.is(tokenizer.vocabSize, 257);
  t.is(tokenizer.endOfText, 256);
  t.true(tokenizer.isSpecial(256));
  t.is(await tokenizer.decode([0x61, 256], { skipSpecial: true }), 'a');
  t.is(loadTokenizer(tokenizer.toJson()).fingerprint, tokenizer.fingerprint);
});

test('loadTokenizer: the order of members does not change the fingerprint, content does', (t) => {
  const reordered = Object.fromEntries(Object.entries(fixture).reverse());
  t.is(loadTokenizer(reordered).fingerprint, loadTokenizer(fixture).fingerprint);
  const fewer = { ...fixture, model: { ...fixture.model, merges: merges.slice(0, -1) } };
  t.not(loadTokenizer(fewer).fingerprint, loadTokenizer(fixture).fingerprint);
  t.is(loadTokenizer(fixture).fingerprint.length, 64);
});

test('loadTokenizer: old files with merges as "a b" mean the same', async (t) => {
  const old = { ...fixture, model: { ...fixture.model, merges: merges.map((merge) => joined(merge)) } };
  t.deepEqual(
    await loadTokenizer(old).encode('the lighthouse'),
    await loadTokenizer(fixture).encode('the lighthouse'),
  );
});

test('loadTokenizer: only the very form that Troupe writes is encoded here', (t) => {
  const { model } = fixture;
  const added = fixture.added_tokens[0]!;
  const { ['!']: _, ...withoutByte } = vocabulary;
  const others: readonly unknown[] = [
    { ...fixture, normalizer: { type: 'NFC' } },
    { ...fixture, model: { ...model, ignore_merges: true } },
    { ...fixture, model: { ...model, vocab: withoutByte } },
    { ...fixture, model: { ...model, vocab: { ...vocabulary, zzz: 900 } } },
    { ...fixture, model: { ...model, merges: [...merges, merges[0]] } },
    { ...fixture, model: { ...model, merges: [['q', 'zzzz']] } },
    { ...fixture, added_tokens: [{ ...added, lstrip: true }] },
    { ...fixture, added_tokens: [{ ...added, id: 7 }] },
    { ...fixture, added_tokens: [added, added] },
    { ...fixture, added_tokens: [{ ...added, content: 'toString' }] },
  ];
  t.true(loadTokenizer(fixture) instanceof ByteLevelTokenizer);
  for (const [index, other] of others.entries())
    t.true(loadTokenizer(other) instanceof LibraryTokenizer, `case ${index}`);
});

test('loadTokenizer: the end of text is the special token of a known spelling, or the one that is asked for', (t) => {
  const token = fixture.added_tokens[0]!;
  // Gemma's: a tag of HTML before the end of a text.
  const added_tokens = [
    { ...token, content: '</s>', special: false, id: 512 },
    { ...token, content: '<eos>', id: 513 },
  ];
  const gemma = { ...fixture, added_tokens };
  t.is(loadTokenizer(gemma).endOfText, 513);
  t.is(loadTokenizer(gemma, { endOfText: '</s>' }).endOfText, 512);
  t.is(loadTokenizer({ ...fixture, added_tokens: added_tokens.slice(0, 1) }).endOfText, 512);
  t.is(loadTokenizer({ ...fixture, added_tokens: [] }).endOfText, null);
  t.throws(() => loadTokenizer(fixture, { endOfText: '</s>', name: 'my.json' }), {
    code: 'TROUPE_DATA_TOKENIZER',
    message: /^my\.json .*no added token <\/s>/,
  });
});
