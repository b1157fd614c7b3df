import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import test from 'ava';
import { readTokenizer } from './load-tokenizer.ts';

const fixtures = new URL('../../../test/fixtures/tokenizer_models/', import.meta.url);
const gunzipped = (name: string): unknown =>
  JSON.parse(gunzipSync(readFileSync(new URL(name, fixtures))).toString());

interface Expected {
  readonly ids: readonly (readonly number[])[];
  readonly vocab: number;
}

/** The published files have 2 to 33 MB each, 150 in all, so that nobody installs them to run the other tests. */
const folder = process.env['TROUPE_TOKENIZERS'];
const names = Object.keys(gunzipped('whole.json.gz') as object);
if (folder === undefined)
  test.skip('whole tokenizers: no TROUPE_TOKENIZERS=FOLDER (node test/fixtures/tokenizer_models/fetch.mjs FOLDER fills it)', () => {});
else
  for (const name of names)
    test.serial(`whole tokenizers: ${name} gives the ids of Python’s tokenizers`, async (t) => {
      const texts = gunzipped('strings.json.gz') as readonly string[];
      const { ids, vocab } = (gunzipped('whole.json.gz') as Readonly<Record<string, Expected>>)[name]!;
      const tokenizer = readTokenizer(join(folder, `${name}.json`));
      const found = await tokenizer.encodeAll(texts);
      t.deepEqual(
        found.map((each) => [...each]),
        ids,
      );
      t.is(tokenizer.vocabSize, vocab);
    });
