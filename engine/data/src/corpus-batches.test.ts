import test from 'ava';
import * as fc from 'fast-check';
import type { Batch, BatchSource } from './batch.ts';
import { bytesTokenizer } from './bytes-tokenizer.ts';
import { corpusBatches } from './corpus-batches.ts';
import { buildCorpus, packTokens, type Corpus } from './corpus.ts';
import { isHeldOut } from './holdout.ts';
import { permutation } from './permutation.ts';
import { zipfBatches } from './zipf-batches.ts';

const tokenizer = bytesTokenizer();
const END = 256;
const documentsOf = (texts: readonly string[]) => texts.map((text, i) => ({ id: String(i), text }));
const corpusOf = (texts: readonly string[], holdout = 0): Promise<Corpus> =>
  buildCorpus({ documents: documentsOf(texts), tokenizer, holdout });

/** Sequence s of a batch as plain arrays. */
function sequenceOf(batch: Batch, s: number, seqLen: number) {
  const row = (array: Int32Array | Uint8Array): number[] => [...array.subarray(s * seqLen, (s + 1) * seqLen)];
  return {
    ids: row(batch.ids_T),
    targets: row(batch.targets_T),
    firstSeen: row(batch.firstSeen_T),
    valid: row(batch.valid_T),
  };
}

test('buildCorpus: documents follow one another, each with its end of text', async (t) => {
  const { train, heldOut } = await corpusOf(['ab', '', 'c']);
  t.deepEqual([...train.tokens], [97, 98, END, 99, END]);
  t.deepEqual([...train.documentStarts], [0, 3]);
  t.is(heldOut.tokens.length, 0);
  t.deepEqual([...packTokens(train.tokens, END).documentStarts], [0, 3]);
});

test('corpusBatches: windows know targets and document starts, the last is padded', async (t) => {
  const corpus = await corpusOf(['ab', 'cdef']);
  const source = corpusBatches({ ...corpus, heldOut: corpus.train }, { seqLen: 3, batch: 1, seed: 1 });
  t.is(source.numTrainWindows, 2);
  t.is(source.numEvalSequences, 3);
  t.is(source.numEvalTargets, 7);
  const batch = source.evalBatch(0, 4);
  t.deepEqual(sequenceOf(batch, 0, 3), {
    ids: [97, 98, END],
    targets: [98, END, 99],
    firstSeen: [0, 0, 0],
    valid: [1, 1, 1],
  });
  t.deepEqual(sequenceOf(batch, 1, 3), {
    ids: [99, 100, 101],
    targets: [100, 101, 102],
    firstSeen: [0, 0, 0],
    valid: [1, 1, 1],
  });
  t.deepEqual(sequenceOf(batch, 2, 3), {
    ids: [102, END, END],
    targets: [END, -1, -1],
    firstSeen: [0, 1, 2],
    valid: [1, 0, 0],
  });
  t.deepEqual(sequenceOf(batch, 3, 3), {
    ids: [END, END, END],
    targets: [-1, -1, -1],
    firstSeen: [0, 1, 2],
    valid: [0, 0, 0],
  });
});

const words = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'é'), maxLength: 12 }), {
  minLength: 1,
  maxLength: 20,
});

test('corpusBatches: evaluation shows every token but the first as a target once, and padding never', async (t) => {
  await fc.assert(
    fc.asyncProperty(words, fc.integer({ min: 1, max: 9 }), async (texts, seqLen) => {
      const corpus = await corpusOf([...texts, 'zz']);
      const source = corpusBatches({ ...corpus, heldOut: corpus.train }, { seqLen, batch: 2, seed: 3 });
      const { tokens, documentStarts } = corpus.train;
      const batch = source.evalBatch(0, source.numEvalSequences + 1);
      const valid = [...batch.valid_T.keys()].filter((i) => batch.valid_T[i] === 1);
      t.deepEqual(
        valid.map((i) => batch.targets_T[i]),
        [...tokens.subarray(1)],
      );
      t.deepEqual(
        valid.map((i) => batch.ids_T[i]),
        [...tokens.subarray(0, -1)],
      );
      t.is(valid.length, source.numEvalTargets);
      t.true(batch.targets_T.every((target, i) => (target === -1) === (batch.valid_T[i] === 0)));
      for (const i of valid) {
        const start = documentStarts.findLast((documentStart) => documentStart <= i) ?? 0;
        t.is(batch.firstSeen_T[i], Math.max(0, start - (i - (i % seqLen))));
      }
    }),
  );
});

test('corpusBatches: an epoch shows every whole window once, in an order of its own', async (t) => {
  const corpus = await corpusOf([
    Array.from({ length: 401 }, (_, i) => String.fromCharCode(33 + (i % 90))).join(''),
  ]);
  const source = corpusBatches(corpus, { seqLen: 4, batch: 10, seed: 7 });
  t.is(source.numTrainWindows, 100);
  const epoch = (first: number): string[] =>
    Array.from({ length: 10 }, (_, step) => source.trainBatch(first + step, 0, 10)).flatMap((batch) =>
      Array.from({ length: 10 }, (_, s) => sequenceOf(batch, s, 4).ids.join()),
    );
  const whole = Array.from({ length: 100 }, (_, w) =>
    [...corpus.train.tokens.subarray(4 * w, 4 * w + 4)].join(),
  ).toSorted();
  t.deepEqual(epoch(0).toSorted(), whole);
  t.deepEqual(epoch(10).toSorted(), whole);
  t.notDeepEqual(epoch(10), epoch(0));
  t.notDeepEqual(epoch(0).toSorted(), epoch(0));
});

const sources: readonly (readonly [string, () => Promise<BatchSource>])[] = [
  [
    'corpusBatches',
    async () =>
      corpusBatches(
        await corpusOf(['a lighthouse keeper counts', 'the ships that pass', 'every evening'], 0.3),
        { seqLen: 5, batch: 6, seed: 11 },
      ),
  ],
  ['zipfBatches', async () => zipfBatches({ vocab: 50, seqLen: 5, batch: 6, seed: 11 })],
];

for (const [name, open] of sources) {
  test(`${name}: sequence i of a step does not depend on how the batch is cut or what was asked before`, async (t) => {
    const source = await open();
    const place = fc.record({ step: fc.nat(1000), first: fc.nat(5), count: fc.integer({ min: 1, max: 6 }) });
    const fresh = await open();
    fc.assert(
      fc.property(place, ({ step, first, count }) => {
        const number = Math.min(count, 6 - first);
        const part = source.trainBatch(step, first, number);
        const whole = fresh.trainBatch(step, 0, 6);
        t.is(part.sequences, number);
        for (let s = 0; s < number; s++) t.deepEqual(sequenceOf(part, s, 5), sequenceOf(whole, first + s, 5));
      }),
    );
  });

  test(`${name}: validTargets counts the valid targets of the global batch`, async (t) => {
    const source = await open();
    for (const step of [0, 1, 17]) {
      const { valid_T } = source.trainBatch(step, 0, 6);
      t.is(
        source.validTargets(step, 6),
        valid_T.reduce((sum, one) => sum + one, 0),
      );
    }
    t.throws(() => source.validTargets(0, 5), { code: 'TROUPE_INVARIANT' });
    t.throws(() => source.trainBatch(0, 3, 4), { code: 'TROUPE_INVARIANT' });
  });
}

test('corpusBatches: a corpus shorter than a window trains on it, padded', async (t) => {
  const source = corpusBatches(await corpusOf(['ab']), { seqLen: 8, batch: 2, seed: 0 });
  t.is(source.numTrainWindows, 1);
  t.is(source.validTargets(3), 4);
  t.deepEqual(sequenceOf(source.trainBatch(3, 1, 1), 0, 8).valid, [1, 1, 0, 0, 0, 0, 0, 0]);
  const empty = await corpusOf([]);
  t.throws(() => corpusBatches(empty, { seqLen: 8, batch: 2, seed: 0 }), { code: 'TROUPE_DATA_TOO_SMALL' });
});

test('corpusBatches: another seed, another order', async (t) => {
  const corpus = await corpusOf(['the keeper counted the ships that passed the harbour every evening']);
  const [one, two] = [1, 2].map(
    (seed) => corpusBatches(corpus, { seqLen: 4, batch: 8, seed }).trainBatch(0, 0, 8).ids_T,
  );
  t.notDeepEqual(one, two);
});

test('isHeldOut: membership is decided by the text alone, and shares are kept', (t) => {
  const texts = Array.from({ length: 20_000 }, (_, i) => `document ${i}`);
  const held = texts.filter((text) => isHeldOut(text, 0.02));
  // Binomial: 400 ± 4.5 standard deviations of 19.8.
  t.true(held.length > 310 && held.length < 490, String(held.length));
  t.true(held.every((text) => isHeldOut(text, 0.1)));
  t.false(texts.some((text) => isHeldOut(text, 0)));
  // Pinned: another hash would move documents that a checkpoint was trained on into its evaluation.
  t.deepEqual(held.slice(0, 4), ['document 20', 'document 21', 'document 74', 'document 100']);
});

test('buildCorpus: order changes no membership and copies stay together', async (t) => {
  const texts = Array.from({ length: 60 }, (_, i) => `text ${i % 40}`);
  const decode = async ({ heldOut }: Corpus): Promise<string[]> =>
    (await tokenizer.decode(heldOut.tokens)).split('<|endoftext|>').toSorted();
  const forward = await corpusOf(texts, 0.3);
  t.deepEqual(await decode(await corpusOf(texts.toReversed(), 0.3)), await decode(forward));
  const kept = new Set((await tokenizer.decode(forward.train.tokens)).split('<|endoftext|>').filter(Boolean));
  t.true(kept.size > 5 && kept.size < 40);
  t.false((await decode(forward)).some((text) => kept.has(text)));
});

test('permutation: a bijection for any number of items, keyed', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3000 }), fc.nat(), (numItems, seed) => {
      const order = permutation(numItems, { seed, purpose: 'test' });
      const places = Array.from({ length: numItems }, (_, i) => order(i));
      t.is(new Set(places).size, numItems);
      t.true(places.every((place) => Number.isInteger(place) && place >= 0 && place < numItems));
    }),
  );
  const large = permutation(2 ** 32 - 5, { seed: 1, purpose: 'test' });
  t.is(new Set(Array.from({ length: 1000 }, (_, i) => large(i))).size, 1000);
});

test('permutation: each place is as likely as another', (t) => {
  const numItems = 10;
  const counts = new Float64Array(numItems * numItems);
  for (let step = 0; step < 5000; step++) {
    const order = permutation(numItems, { seed: 5, purpose: 'test', step });
    for (let i = 0; i < numItems; i++) counts[i * numItems + order(i)]! += 1;
  }
  const chiSquared = counts.reduce((sum, count) => sum + (count - 500) ** 2 / 500, 0);
  // 81 degrees of freedom: mean 81, standard deviation 12.7.
  t.true(chiSquared < 150, String(chiSquared));
});

test('zipfBatches: frequencies fall as 1/rank, eight batches come in turn', (t) => {
  const vocab = 64;
  const source = zipfBatches({ vocab, seqLen: 512, batch: 64, seed: 2 });
  const counts = new Float64Array(vocab);
  for (let step = 0; step < 8; step++)
    for (const id of source.trainBatch(step, 0, 64).ids_T) counts[id]! += 1;
  const numTokens = 8 * 64 * 512;
  const total = Array.from({ length: vocab }, (_, i) => 1 / (i + 1)).reduce((sum, p) => sum + p, 0);
  const falling = [...counts].sort((a, b) => b - a);
  for (const [rank, count] of falling.entries()) {
    const expected = numTokens / ((rank + 1) * total);
    t.true(
      Math.abs(count - expected) < 6 * Math.sqrt(expected),
      `rank ${rank}: ${count}, expected ${expected}`,
    );
  }
  t.deepEqual(source.trainBatch(8, 0, 64), source.trainBatch(0, 0, 64));
  t.notDeepEqual(source.trainBatch(1, 0, 64), source.trainBatch(0, 0, 64));
  t.notDeepEqual(source.evalBatch(0, 64), source.trainBatch(0, 0, 64));
  t.deepEqual([...source.evalBatch(64, 1).valid_T], Array<number>(512).fill(0));
});
