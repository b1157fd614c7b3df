import test from 'ava';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkDataSource, openDataSource, type DataConfig } from '../data-source.ts';
import { DataConfigError, TokenizerVocabError } from '../errors.ts';
import type { TextPair } from '../parallel/text-pair.ts';
import { loadTokenizer } from '../load-tokenizer.ts';
import { translationPrompt } from './translation-prompt.ts';

const words = {
  en: ['the', 'file', 'is', 'open', 'now'],
  de: ['die', 'datei', 'ist', 'offen', 'jetzt'],
  fr: ['le', 'fichier', 'est', 'ouvert', 'maintenant'],
};

/** Sentences that differ by their number. */
const sentence = (language: keyof typeof words, index: number): string =>
  `${words[language].slice(0, 2 + (index % 4)).join(' ')} ${index}.`;

const pairsOf = (to: 'de' | 'fr', count: number): TextPair[] =>
  Array.from({ length: count }, (_, index) => ({
    from: 'en',
    to,
    source: sentence('en', index),
    target: sentence(to, index),
    document: `page ${index >> 2}`,
  }));

const config: DataConfig = {
  parallel: [{ kind: 'pairs', pairs: [...pairsOf('de', 120), ...pairsOf('fr', 40)] }],
  tasks: [
    { kind: 'translation', weight: 2, temperature: 5 },
    { kind: 'denoising', languages: ['de', 'en'] },
    { kind: 'denoising', noise: ['shuffle', 'infill'], languages: ['fr'] },
  ],
  tokenizer: { kind: 'bpe' },
  holdout: 0.15,
  seqLen: 48,
  encoderSeqLen: 64,
  batch: 2,
  seed: 1,
  modelVocab: 480,
};

test('openDataSource: tasks of parallel text, with tags and sentinels behind the vocabulary', async (t) => {
  const opened = await openDataSource(config);
  const { tokenizer, batches, tasks = [] } = opened;
  t.truthy(tokenizer);
  if (tokenizer === null) return;
  t.is(tokenizer.vocabSize, 480, 'the BPE leaves room for three tags, a mask and a hundred sentinels');
  const [tag] = await tokenizer.encode('<2de>');
  t.is(tag, 480 - 104, 'tags are first, in the order of the alphabet');
  t.true(tokenizer.isSpecial(tag ?? 0));
  t.is(
    await tokenizer.decode([tag ?? 0, ...(await tokenizer.encode('offen'))], { skipSpecial: true }),
    'offen',
  );
  t.is(loadTokenizer(JSON.parse(JSON.stringify(tokenizer.toJson()))).fingerprint, tokenizer.fingerprint);
  t.deepEqual(
    tasks.map(({ task, language }) => `${task} ${language}`),
    [
      'translation en-de',
      'translation en-fr',
      'translation de-en',
      'translation fr-en',
      'denoising spans de',
      'denoising spans en',
      'denoising shuffle+infill fr',
    ],
  );
  // Every pair in both directions, in training or held out.
  const en = tasks.find(({ language }) => language === 'en-de');
  t.is((en?.items ?? 0) + (en?.heldOutItems ?? 0), 120);
  t.true((en?.heldOutItems ?? 0) > 0);
  t.is(batches.vocabSize, 480);
  for (let step = 0; step < 20; step++) {
    const { ids_T, source } = batches.trainBatch(step, 0, 2);
    t.is(ids_T.length, 96);
    t.is(source?.ids_T.length, 128);
    t.true([...ids_T, ...(source?.ids_T ?? [])].every((id) => id >= 0 && id < 480));
  }
  const { numTrainTokens, bigramCrossEntropy } = opened.statistics();
  t.true(numTrainTokens > 1000 && (bigramCrossEntropy ?? 0) > 0);
});

test('openDataSource: a translation reads its source and writes its target after the tag', async (t) => {
  const tasks = [{ kind: 'translation', pairs: ['en-de'] }] as const;
  const { tokenizer, batches } = await openDataSource({
    ...config,
    tasks,
    seqLen: 24,
    encoderSeqLen: 24,
    batch: 1,
  });
  const { ids_T, targets_T, source } = batches.trainBatch(0, 0, 1);
  const read = [...(source?.ids_T ?? [])];
  const end = tokenizer?.endOfText ?? 0;
  const text = await tokenizer?.decode(read.slice(0, read.indexOf(end)));
  const number = Number(text?.match(/\d+/)?.[0]);
  t.is(text, sentence('en', number));
  t.is(await tokenizer?.decode(targets_T.subarray(0, targets_T.indexOf(end))), sentence('de', number));
  if (tokenizer === null) return;
  // What the model is given later is what it was trained on.
  const prompt = await translationPrompt(tokenizer, text ?? '', 'de');
  t.deepEqual([...prompt.source], read.slice(0, read.indexOf(end) + 1));
  t.is(prompt.begin, ids_T[0] ?? -1);
  t.deepEqual([...prompt.prompt], [...prompt.source.subarray(0, -1), ids_T[0]]);
  await t.throwsAsync(translationPrompt(tokenizer, 'x', 'xx'), {
    message: 'data: this model writes no xx; it was trained to write de, en, fr; choose one of those',
  });
});

test('openDataSource: without an encoder source, tag and target are one sequence', async (t) => {
  const tasks = [{ kind: 'translation', pairs: ['en-fr'] }, { kind: 'language-model' }] as const;
  const { encoderSeqLen: _none, ...decoder } = config;
  const { tokenizer, batches } = await openDataSource({ ...decoder, tasks });
  const tags = await tokenizer?.encode('<2fr>');
  const hasSource = Array.from({ length: 20 }, (_, step) => batches.trainBatch(step, 0, 1)).map((batch) => {
    t.is(batch.source, undefined);
    return batch.ids_T.some((id, row) => id === tags?.[0] && (batch.firstSeen_T[row] ?? 0) < row % 48);
  });
  t.true(hasSource.includes(true));
  t.true(hasSource.includes(false), 'a language model begins with its tag');
});

test('openDataSource: tasks come from the cache, and the second time no text is read', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-tasks-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'pairs.tsv');
  writeFileSync(
    file,
    pairsOf('de', 60)
      .map(({ source, target }) => `${source}\t${target}\n`)
      .join(''),
  );
  const kept: DataConfig = {
    ...config,
    parallel: [{ kind: 'tsv', file, from: 'en', to: 'de' }],
    tasks: [{ kind: 'translation' }],
  };
  const options = { cacheFolder: join(folder, 'cache') };
  const first = await openDataSource(kept, options);
  t.false(first.fromCache);
  const second = await openDataSource(kept, options);
  t.true(second.fromCache);
  t.is(second.corpusSha256, first.corpusSha256);
  t.is(second.tokenizer?.fingerprint, first.tokenizer?.fingerprint);
  t.deepEqual(second.batches.trainBatch(3, 0, 2), first.batches.trainBatch(3, 0, 2));
  // A run that goes on has its tokenizer.
  const third = await openDataSource(kept, {
    ...options,
    ...(first.tokenizer === null ? {} : { tokenizer: first.tokenizer }),
  });
  t.true(third.fromCache);
  t.deepEqual(third.batches.trainBatch(3, 0, 2), first.batches.trainBatch(3, 0, 2));
});

const refused = async (change: Partial<DataConfig>) =>
  openDataSource({ ...config, ...change }).then(
    () => null,
    (error: unknown) => error as Error,
  );

test('openDataSource: what tasks cannot have is one sentence each', async (t) => {
  const cases: readonly (readonly [Partial<DataConfig>, RegExp])[] = [
    [
      { tasks: [{ kind: 'translation', pairs: ['en-xx'] }] },
      /task 1 \(translation\): no parallel text for en-xx; there is de-en, en-de, en-fr, fr-en;/,
    ],
    [
      { tasks: [{ kind: 'denoising', languages: ['xx'] }] },
      /task 1 \(denoising spans\): no text in xx; there is de, en, fr;/,
    ],
    [{ tasks: [{ kind: 'denoising', noise: ['spans', 'rotate'] }] }, /noise spans, rotate; use spans alone/],
    [
      { tasks: [{ kind: 'language-model' }] },
      /task 1 \(language-model\): a language model has nothing for an encoder to read/,
    ],
    [
      { tasks: [{ kind: 'translation' }], seqLen: 3 },
      /nothing to train on for en-de: \d+ texts are longer than a window/,
    ],
    [
      { tasks: undefined as never, source: ['a text'] },
      /documents, and a model with an encoder, which has nothing to read in them/,
    ],
    [{ parallel: [] }, /tasks without texts; name the texts in data.parallel/],
  ];
  for (const [change, message] of cases) {
    const error = await refused(change);
    t.true(error instanceof DataConfigError, String(error));
    t.regex(error?.message ?? '', message);
  }
});

test('checkDataSource: a file of texts that is missing or empty is found without reading any', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-empty-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [full, empty] = [join(folder, 'a.en'), join(folder, 'a.de')];
  writeFileSync(full, 'a line\n');
  writeFileSync(empty, '');
  const checked = (parallel: NonNullable<DataConfig['parallel']>) =>
    checkDataSource({ ...config, parallel }).then(
      () => null,
      (error: unknown) => (error as Error).message,
    );
  const lines = { kind: 'lines', from: 'en', to: 'de', source: full } as const;
  t.regex(
    (await checked([{ ...lines, target: empty }])) ?? '',
    /a\.de: it is empty; name a file that holds text/,
  );
  t.regex((await checked([{ ...lines, target: join(folder, 'b') }])) ?? '', /cannot read data from .*b/);
  t.regex((await checked([{ kind: 'text', language: 'de', file: empty }])) ?? '', /a\.de: it is empty/);
  t.is(await checked([{ ...lines, target: full }]), null);
});

test('openDataSource: special tokens that do not fit are refused with the number that is needed', async (t) => {
  const small = await refused({ modelVocab: 300 });
  t.true(small instanceof TokenizerVocabError);
  t.regex(small?.message ?? '', /361 tokens but model.vocab is 300/);
  const asked = await refused({ tokenizer: { kind: 'bpe', vocab: 400 } });
  t.regex(asked?.message ?? '', /504 tokens but model.vocab is 480/);
  const bytes = await refused({ tokenizer: { kind: 'bytes' }, modelVocab: 320 });
  t.regex(bytes?.message ?? '', /361 tokens but model.vocab is 320/);
});

test('openDataSource: texts of one language alone are denoised beside pairs, and held out where pairs are', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-alone-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [text, jsonl] = [join(folder, 'a.txt'), join(folder, 'b.jsonl')];
  const own = Array.from({ length: 30 }, (_, index) => `un arbre et ${index} fleurs dans le jardin`);
  // Every text of the pairs once more, which must not change sides.
  writeFileSync(text, [...own, ...pairsOf('fr', 40).map(({ target }) => target)].join('\n\n'));
  writeFileSync(jsonl, own.map((each) => JSON.stringify({ body: `it: ${each}` })).join('\n'));
  const sources = [
    { kind: 'text', language: 'fr', file: text },
    { kind: 'jsonl-text', language: 'it', file: jsonl, field: 'body' },
  ] as const;
  const alone: DataConfig = {
    ...config,
    parallel: [{ kind: 'pairs', pairs: pairsOf('fr', 40) }, ...sources],
    tasks: [{ kind: 'denoising', noise: ['rotate'] }],
  };
  const found = await openDataSource(alone);
  const fr = found.tasks?.find(({ language }) => language === 'fr');
  t.is((fr?.items ?? 0) + (fr?.heldOutItems ?? 0) + (fr?.tooShort ?? 0), 70);
  const pairs = await openDataSource({
    ...config,
    parallel: alone.parallel ?? [],
    tasks: [{ kind: 'translation' }],
  });
  const held = pairs.tasks?.find(({ language }) => language === 'en-fr')?.heldOutItems ?? 0;
  t.true(held > 0 && (fr?.heldOutItems ?? 0) >= held);
  t.deepEqual(
    found.tasks?.map(({ language }) => language),
    ['en', 'fr', 'it'],
  );
  t.not(
    found.corpusSha256,
    (await openDataSource({ ...alone, parallel: alone.parallel?.slice(0, 2) ?? [] })).corpusSha256,
  );
  const none = await refused({ parallel: sources, tasks: [{ kind: 'translation' }] });
  t.regex(none?.message ?? '', /task 1 \(translation\) has no text; name texts in two languages/);
  const missing = await refused({ parallel: [{ ...sources[0], file: join(folder, 'c.txt') }] });
  t.regex(missing?.message ?? '', /cannot read data from .*c\.txt/);
});
