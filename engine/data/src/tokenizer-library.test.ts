// A file of its own: what it changes in the environment holds for every process that it starts.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { trainBpe } from './bpe-trainer.ts';
import { bytesTokenizer } from './bytes-tokenizer.ts';
import { loadTokenizer } from './load-tokenizer.ts';

test('tokenizers: without a build of the library a tokenizer.json is refused, bytes and a trained BPE work', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-tokenizer-'));
  const hook = join(folder, 'hook.cjs');
  // As on a platform without a build: the package is there, none of its optional ones is.
  writeFileSync(
    hook,
    `const { Module } = require('node:module');
     const load = Module._load;
     Module._load = function (name, ...rest) {
       if (/^@anush008\\/tokenizers-/.test(name)) throw new Error('Cannot find module ' + name);
       return load.call(this, name, ...rest);
     };`,
  );
  process.env['NODE_OPTIONS'] = `--require ${JSON.stringify(hook)}`;
  try {
    const url = new URL('../../../test/fixtures/tokenizer_split/tokenizer.json', import.meta.url);
    const tokenizer = loadTokenizer(JSON.parse(readFileSync(url, 'utf8')), { name: 'mine.json' });
    t.is(tokenizer.vocabSize, 512);
    const error = await t.throwsAsync(tokenizer.encode('a'), { code: 'TROUPE_DATA_TOKENIZER_LIBRARY' });
    t.regex(
      error.message,
      /^mine\.json needs the package @anush008\/tokenizers, .*use tokenizer kind bytes, or bpe/u,
    );
    t.deepEqual([...(await bytesTokenizer().encode('a'))], [97]);
    const trained = await trainBpe(['ab ab'], { vocab: 260 });
    const again = loadTokenizer(JSON.parse(JSON.stringify(trained.toJson())));
    t.deepEqual(await again.encode('ab'), await trained.encode('ab'));
  } finally {
    delete process.env['NODE_OPTIONS'];
    rmSync(folder, { recursive: true });
  }
});
