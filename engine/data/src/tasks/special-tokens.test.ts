import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import test from 'ava';
import { trainBpe } from '../bpe-trainer.ts';
import { bytesTokenizer } from '../bytes-tokenizer.ts';
import { loadTokenizer } from '../load-tokenizer.ts';
import type { TokenizerJson } from '../tokenizer-json.ts';
import { languageTag, specialIds, specialNames, withSpecialTokens } from './special-tokens.ts';

const fixture = new URL('../../../../test/fixtures/tokenizer_models/trimmed.json.gz', import.meta.url);
const models = JSON.parse(gunzipSync(readFileSync(fixture)).toString()) as Readonly<
  Record<string, { readonly tokenizer: TokenizerJson; readonly vocab: number }>
>;
const languages = ['de', 'zh-CN'];
const text = 'Save the file. Open it! 保存。';

test('withSpecialTokens: tokens of tasks stand behind those of any tokenizer, and text keeps its ids', async (t) => {
  const seen = new Set<string>();
  for (const [name, { tokenizer: json, vocab }] of Object.entries(models)) {
    const own = loadTokenizer(json);
    if (own.endOfText === null || seen.has(json.model.type)) continue;
    seen.add(json.model.type);
    const names = specialNames(languages);
    const more = withSpecialTokens(own, names);
    t.is(more.vocabSize, vocab + names.length, name);
    t.deepEqual(await more.encode(text), await own.encode(text), name);
    const { tags, noise, end } = await specialIds(more, languages);
    t.is(end, own.endOfText);
    t.deepEqual(
      [...tags.values(), noise.mask, noise.sentinel],
      [vocab, vocab + 1, vocab + 2, vocab + 3],
      name,
    );
    t.true(more.isSpecial(vocab));
    t.is(withSpecialTokens(more, names), more, 'nothing is added twice');
  }
  t.deepEqual([...seen].sort(), ['BPE', 'Unigram']);
});

test('specialIds: sentences end behind full stops, in any script that the tokenizer spells', async (t) => {
  const trained = await trainBpe(
    Array.from({ length: 9 }, () => text),
    { vocab: 290 },
  );
  const tokenizer = withSpecialTokens(trained, specialNames(languages));
  const { noise } = await specialIds(tokenizer, languages);
  const ids = await tokenizer.encode(text);
  const ends = await Promise.all(
    [...ids].map(async (id) => (noise.closes(id) ? await tokenizer.decode([id]) : '')),
  );
  t.deepEqual(
    ends.filter((each) => each !== '').map((each) => each.at(-1)),
    ['.', '!', '。'],
  );
  t.deepEqual([...noise.separator], [...(await tokenizer.encode('\n'))]);
});

test('specialIds: a tokenizer without an end, or one that takes a tag for text, is refused', async (t) => {
  await t.throwsAsync(specialIds(bytesTokenizer(), languages), {
    code: 'TROUPE_DATA_CONFIG',
    message: `data: the tokenizer takes ${languageTag('de')} for text; it must be a special token of it`,
  });
  const endless = Object.values(models)
    .map(({ tokenizer }) => loadTokenizer(tokenizer))
    .find(({ endOfText }) => endOfText === null);
  t.truthy(endless);
  if (endless !== undefined)
    await t.throwsAsync(specialIds(endless, languages), {
      message: /the tokenizer has no token that ends a text/,
    });
});
