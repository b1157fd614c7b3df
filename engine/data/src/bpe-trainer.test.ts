import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import test from 'ava';
import * as fc from 'fast-check';
import { trainBpe } from './bpe-trainer.ts';
import { characterOfByte } from './byte-alphabet.ts';
import { loadTokenizer } from './load-tokenizer.ts';
import type { Tokenizer } from './tokenizer.ts';
import { wordnetDocuments } from './wordnet.ts';

const mergesOf = (tokenizer: Tokenizer): string[] =>
  (tokenizer.toJson().model.merges ?? []).map((merge) =>
    typeof merge === 'string' ? merge : merge.join(' '),
  );

/** The definition: recount all pairs before each merge; most frequent first, then lower ids. ASCII words only. */
function trainSlowly(words: readonly string[], numMerges: number): string[] {
  const ids = new Map(characterOfByte.toSorted().map((character, id) => [character, id] as const));
  const cut = words.map((word) => word.split(''));
  const merges: string[] = [];
  for (let merge = 0; merge < numMerges; merge++) {
    const counts = new Map<string, number>();
    for (const symbols of cut)
      for (let i = 0; i + 1 < symbols.length; i++) {
        const pair = `${symbols[i]} ${symbols[i + 1]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    const key = (pair: string): number => {
      const [left, right] = pair.split(' ');
      return (ids.get(left ?? '') ?? 0) * 1e6 + (ids.get(right ?? '') ?? 0);
    };
    const [best] = [...counts].sort(([a, m], [b, n]) => n - m || key(a) - key(b));
    if (best === undefined || best[1] < 2) break;
    merges.push(best[0]);
    const [left = '', right = ''] = best[0].split(' ');
    if (!ids.has(left + right)) ids.set(left + right, ids.size);
    for (const symbols of cut)
      for (let i = 0; i + 1 < symbols.length; i++)
        if (symbols[i] === left && symbols[i + 1] === right) symbols.splice(i, 2, left + right);
  }
  return merges;
}

test('trainBpe: incremental counts choose the merges that recounting chooses', async (t) => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 9 });
  await fc.assert(
    fc.asyncProperty(fc.array(word, { minLength: 1, maxLength: 12 }), async (words) => {
      const tokenizer = await trainBpe(words, { vocab: 257 + 12 });
      const merges = mergesOf(tokenizer);
      const slow = trainSlowly(words, 12);
      // A merge that spells a known token takes no id, so more than 12 may fit.
      t.deepEqual(merges.slice(0, slow.length), slow);
    }),
  );
});

test('trainBpe: the order of texts does not change the result', async (t) => {
  const texts = ['the lighthouse keeper', 'counted the ships', 'that passed the harbour', 'every evening'];
  const forward = await trainBpe(texts, { vocab: 300 });
  const backward = await trainBpe(texts.toReversed(), { vocab: 300 });
  t.is(forward.fingerprint, backward.fingerprint);
});

test('trainBpe: its tokenizer.json loads to the same tokenizer and round-trips text', async (t) => {
  const text = 'the keeper counted the ships that passed the harbour';
  const tokenizer = await trainBpe([text], { vocab: 280 });
  const loaded = loadTokenizer(JSON.parse(JSON.stringify(tokenizer.toJson())));
  t.is(loaded.fingerprint, tokenizer.fingerprint);
  t.deepEqual(await loaded.encode(text), await tokenizer.encode(text));
  t.is(await loaded.decode(await loaded.encode(`${text} 🚢`)), `${text} 🚢`);
});

test('trainBpe: stops at minFrequency and never merges into a special token', async (t) => {
  const tokenizer = await trainBpe(['ab ab cd', '<s>'], { vocab: 1000, special: ['<s>'] });
  t.deepEqual(mergesOf(tokenizer), ['a b']);
  const eager = await trainBpe(Array<string>(9).fill('x<s>x'), { vocab: 1000, special: ['<s>'] });
  t.deepEqual([...(await eager.encode('<s>'))], [0]);
  const spelled = await trainBpe(Array<string>(9).fill('abab'), { vocab: 1000, special: ['ab'] });
  t.deepEqual(mergesOf(spelled), ['b a', 'a ba', 'aba b']);
  t.deepEqual([...(await spelled.encode('abx'))].slice(0, 1), [0]);
});

test('trainBpe: refuses a vocabulary that cannot hold the bytes', async (t) => {
  await t.throwsAsync(trainBpe(['a'], { vocab: 256 }), {
    code: 'TROUPE_DATA_CONFIG',
    message: /at least 257/,
  });
  for (const special of [['a'], [''], ['<s>', '<s>']])
    await t.throwsAsync(trainBpe(['a'], { vocab: 300, special }), { code: 'TROUPE_DATA_CONFIG' });
});

test('trainBpe: 4,096 tokens on WordNet are those of Hugging Face tokenizers 0.23.3', async (t) => {
  const texts = Array.from(wordnetDocuments(), (document) => document.text);
  const tokenizer = await trainBpe(texts, { vocab: 4096 });
  const merges = mergesOf(tokenizer);
  t.is(merges.length, 3839);
  const digest = createHash('sha256').update(merges.join('\n')).digest('hex');
  t.is(digest, '85a68b9e6f09ad60ab0103128bab119a06f143a2323057ac69bd619885e29d4a');
  const ids = await tokenizer.encodeAll(texts);
  const decoded = await Promise.all(ids.map((each) => tokenizer.decode(each)));
  t.deepEqual(decoded, texts);
});

test('trainBpe: keeps no text: seventy megabytes go through a heap of thirty-two', async (t) => {
  const trainer = new URL('../dist/bpe-trainer.js', import.meta.url).href;
  // One rare piece a text, long enough that the engine cuts it out without copying it.
  const script = `
    import { trainBpe } from ${JSON.stringify(trainer)};
    function* texts() {
      for (let i = 0; i < 70; i++) yield \`rarewordof\${'abcdefghij'[i % 10]}\${'klmnopqrstuvwxyz'[i >> 4]}x\${' '.repeat(1 << 20)}\`;
    }
    const { vocabSize } = await trainBpe(texts(), { vocab: 260 });
    process.stdout.write(String(vocabSize));`;
  const args = ['--max-old-space-size=32', '--input-type=module', '-e', script];
  const stdout = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, args, (error, out) => (error === null ? resolve(out) : reject(error)));
  });
  t.is(stdout, '260');
});
