import test from 'ava';
import fc from 'fast-check';
import type { Batch } from '../batch.ts';
import { pairItems, pieceItems, type Items } from './items.ts';
import { denoising, plainText, type NoiseIds } from './noise.ts';
import { taskBatches, type Task, type TaskBatchesOptions } from './task-batches.ts';
import { joinedTexts, type TokenTexts } from './token-texts.ts';
import type { WindowShape } from './window-shape.ts';
import { fillPacked, numWindows, packWindows, paddedBatch, targetsOf } from './windows.ts';

const END = 0;
const [DE, EN] = [1, 2];
const ids: NoiseIds = {
  sentinel: 3,
  sentinels: 20,
  mask: 23,
  separator: Int32Array.of(999),
  closes: (id) => id % 10 === 0,
};
const FIRST = 24;

/** Texts of tokens that are never twice the same. */
function textsOf(lengths: readonly number[], first = FIRST): TokenTexts {
  const starts = [0];
  for (const length of lengths) starts.push((starts.at(-1) ?? 0) + length);
  return {
    tokens: Int32Array.from({ length: starts.at(-1) ?? 0 }, (_, at) => first + at),
    starts: Int32Array.from(starts),
  };
}

const all = (texts: TokenTexts): Int32Array => Int32Array.from(texts.starts.keys()).subarray(0, -1);
const asPairs = (count: number): Int32Array => Int32Array.from({ length: 2 * count }, (_, at) => at >> 1);
const twoStreams: WindowShape = { source: 8, target: 6 };

test('packWindows: a window of two pairs, position for position', (t) => {
  const source = textsOf([2, 3]);
  const target = textsOf([1, 2], 50);
  const items = pairItems({ source, target, pairs: asPairs(2) }, DE, twoStreams);
  const windows = packWindows(items, twoStreams, (place) => place);
  t.is(numWindows(windows), 1);
  t.is(targetsOf(windows, 0), 5);
  const batch = paddedBatch(1, twoStreams, END);
  fillPacked(batch, 0, windows, { window: 0, epoch: 0, shape: twoStreams, end: END });
  const plain = (values: Int32Array | Uint8Array | undefined): number[] => [...(values ?? [])];
  t.deepEqual(plain(batch.ids_T), [DE, 50, DE, 51, 52, END]);
  t.deepEqual(plain(batch.targets_T), [50, END, 51, 52, END, -1]);
  t.deepEqual(plain(batch.firstSeen_T), [0, 0, 2, 2, 2, 5]);
  t.deepEqual(plain(batch.valid_T), [1, 1, 1, 1, 1, 0]);
  t.deepEqual(plain(batch.source?.ids_T), [24, 25, END, 26, 27, 28, END, END]);
  t.deepEqual(plain(batch.source?.firstSeen_T), [0, 0, 0, 3, 3, 3, 3, 7]);
  t.deepEqual(plain(batch.source?.endSeen_T), [3, 3, 3, 7, 7, 7, 7, 8]);
  t.deepEqual(plain(batch.source?.valid_T), [1, 1, 1, 1, 1, 1, 1, 0]);
  t.deepEqual(plain(batch.source?.crossFirst_T), [0, 0, 3, 3, 3, 0]);
  t.deepEqual(plain(batch.source?.crossEnd_T), [3, 3, 7, 7, 7, 0]);
});

test('packWindows: one stream reads the source and is asked for the target alone', (t) => {
  const shape: WindowShape = { source: null, target: 9 };
  const pairs = { source: textsOf([2, 1]), target: textsOf([1, 1], 50), pairs: asPairs(2) };
  const windows = packWindows(pairItems(pairs, DE, shape), shape, (place) => place);
  const batch = paddedBatch(1, shape, END);
  fillPacked(batch, 0, windows, { window: 0, epoch: 0, shape, end: END });
  t.is(batch.source, undefined);
  t.deepEqual([...batch.ids_T], [24, 25, DE, 50, 26, DE, 51, END, END]);
  t.deepEqual([...batch.targets_T], [-1, -1, 50, END, -1, 51, END, -1, -1]);
  t.deepEqual([...batch.firstSeen_T], [0, 0, 0, 0, 4, 4, 4, 7, 8]);
  t.deepEqual([...batch.valid_T], [1, 1, 1, 1, 1, 1, 1, 0, 0]);
});

test('pairItems: what no window holds, or has an empty side, is left out whole and counted', (t) => {
  const source = textsOf([7, 8, 0, 1]);
  const target = textsOf([5, 1, 1, 6], 90);
  const { count, tooLong, tooShort } = pairItems({ source, target, pairs: asPairs(4) }, DE, twoStreams);
  t.deepEqual({ count, tooLong, tooShort }, { count: 1, tooLong: 2, tooShort: 1 });
});

test('pieceItems: a long text is cut into the longest pieces that a window holds', (t) => {
  const texts = textsOf([20, 3, 9]);
  const options = { chosen: all(texts), begin: EN, shape: twoStreams };
  const bart = pieceItems(texts, options, denoising(['infill'], ids, { seed: 1, list: 0 }));
  // The target needs its begin: five tokens; rests of three and less are too short.
  t.deepEqual([bart.count, bart.tooShort], [4 + 1 + 1, 1]);
  const spans = pieceItems(texts, options, denoising(['spans'], ids, { seed: 1, list: 0 }));
  // 7 tokens: 1 noise, 1 span: 7 to read and the end. 3 of a text of 20 tokens joins none, 3 and 9 are too long together.
  t.is(spans.lengths(0).source, 7);
  t.deepEqual([spans.count, spans.tooShort], [2 + 1 + 1, 2 + 0]);
  const plain = pieceItems(texts, { ...options, shape: { source: null, target: 6 } }, plainText);
  t.is(plain.count, 4 + 1 + 2);
});

test('packWindows: an item that does not fit goes to the first window that has room', (t) => {
  const shape: WindowShape = { source: 8, target: 8 };
  // Of source and end: 6, 6, 2, 2 positions.
  const pairs = { source: textsOf([5, 5, 1, 1]), target: textsOf([1, 1, 1, 1], 50), pairs: asPairs(4) };
  const { packed, starts } = packWindows(pairItems(pairs, DE, shape), shape, (place) => place);
  t.deepEqual(
    [[...packed], [...starts]],
    [
      [0, 2, 1, 3],
      [0, 2, 4],
    ],
  );
});

test('packWindows: every item is in one window, and all fit, whatever their lengths', (t) => {
  const lengths = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(lengths, fc.boolean(), (list, isSingle) => {
      const shape: WindowShape = isSingle ? { source: null, target: 15 } : { source: 8, target: 8 };
      const pairs = {
        source: textsOf(list),
        target: textsOf(list.toReversed(), 500),
        pairs: asPairs(list.length),
      };
      const items = pairItems(pairs, DE, shape);
      const windows = packWindows(items, shape, (place) => place);
      const batch = paddedBatch(numWindows(windows), shape, END);
      for (let window = 0; window < numWindows(windows); window++)
        fillPacked(batch, window, windows, { window, epoch: 0, shape, end: END });
      const written = [...batch.targets_T].filter((target) => target > END);
      const inOrder = (ids: readonly number[]): readonly number[] => ids.toSorted((a, b) => a - b);
      t.deepEqual(inOrder(written), [...pairs.target.tokens]);
      const read = [...(batch.source ?? batch).ids_T].filter((id) => id >= FIRST && id < 500);
      t.deepEqual(inOrder(read), [...pairs.source.tokens]);
      let targets = 0;
      for (let window = 0; window < numWindows(windows); window++) targets += targetsOf(windows, window);
      t.is(targets, batch.targets_T.filter((target) => target >= 0).length);
    }),
  );
});

const shapes: readonly WindowShape[] = [
  { source: 24, target: 20 },
  { source: null, target: 40 },
];

/** Two languages of translation, one large and one small, and denoising. */
function tasksOf(shape: WindowShape): readonly Task[] {
  const sides = (count: number, first: number): Items => {
    const lengths = Array.from({ length: count }, (_, i) => 1 + ((i * 7) % 9));
    const [source, target] = [textsOf(lengths, first), textsOf(lengths.toReversed(), first + 20_000)];
    return pairItems({ source, target, pairs: asPairs(count) }, DE, shape);
  };
  const texts = textsOf(
    Array.from({ length: 40 }, (_, i) => 2 + ((i * 5) % 40)),
    90_000,
  );
  const pieces = (noise: Parameters<typeof denoising>[0]): Items =>
    pieceItems(texts, { chosen: all(texts), begin: EN, shape }, denoising(noise, ids, { seed: 3, list: 7 }));
  return [
    {
      name: 'translation',
      weight: 3,
      evaluate: true,
      temperature: 5,
      parts: [
        { language: 'en-de', train: sides(200, FIRST), heldOut: sides(11, 50_000) },
        { language: 'en-fr', train: sides(20, 60_000), heldOut: sides(5, 70_000) },
      ],
    },
    {
      name: 'spans',
      weight: 1,
      evaluate: true,
      temperature: 1,
      parts: [{ language: 'en', train: pieces(['spans']), heldOut: pieces(['spans']) }],
    },
    {
      name: 'bart',
      weight: 1,
      evaluate: true,
      temperature: 1,
      parts: [{ language: 'en', train: pieces(['shuffle', 'infill']), heldOut: pieces(['rotate']) }],
    },
  ];
}

const optionsOf = (shape: WindowShape, change: Partial<TaskBatchesOptions> = {}): TaskBatchesOptions => ({
  tasks: tasksOf(shape),
  shape,
  batch: 4,
  seed: 1,
  vocabSize: 100_000,
  end: END,
  ...change,
});

/** Every array of one sequence of a batch. */
function sequenceOf(batch: Batch, sequence: number, shape: WindowShape): string {
  const cut = (values: Int32Array | Uint8Array, length: number): string =>
    values.subarray(sequence * length, (sequence + 1) * length).join();
  const { source } = batch;
  const own = [batch.ids_T, batch.targets_T, batch.firstSeen_T, batch.valid_T];
  const cross = source === undefined ? [] : [source.crossFirst_T, source.crossEnd_T];
  const read =
    source === undefined ? [] : [source.ids_T, source.firstSeen_T, source.endSeen_T, source.valid_T];
  return [
    ...[...own, ...cross].map((values) => cut(values, shape.target)),
    ...read.map((values) => cut(values, shape.source ?? 0)),
  ].join(' ');
}

test('taskBatches: a part of a batch made alone equals that part of the whole', (t) => {
  for (const shape of shapes) {
    const source = taskBatches(optionsOf(shape));
    for (const step of [0, 1, 2, 3, 40, 9000]) {
      const whole = source.trainBatch(step, 0, 4);
      // Another object, which has seen no other step.
      const fresh = taskBatches(optionsOf(shape));
      for (const [first, count] of [
        [3, 1],
        [1, 2],
        [0, 1],
      ] as const) {
        const part = fresh.trainBatch(step, first, count);
        for (let i = 0; i < count; i++)
          t.is(sequenceOf(part, i, shape), sequenceOf(whole, first + i, shape), `step ${step}`);
      }
    }
    const other = taskBatches(optionsOf(shape, { seed: 2 }));
    t.notDeepEqual(other.trainBatch(1, 0, 4).ids_T, source.trainBatch(1, 0, 4).ids_T);
  }
});

test('taskBatches: validTargets counts what the batch has, and padding has none', (t) => {
  for (const shape of shapes) {
    const source = taskBatches(optionsOf(shape));
    for (let step = 0; step < 30; step++) {
      const { targets_T, valid_T } = source.trainBatch(step, 0, 4);
      t.is(source.validTargets(step), targets_T.filter((target) => target >= 0).length);
      t.true(targets_T.every((target, row) => target < 0 || valid_T[row] === 1));
    }
  }
});

/** The task that made a batch: translations begin with DE. */
const isTranslation = ({ ids_T }: Batch): boolean => ids_T.includes(DE);

test('taskBatches: batches alternate by weight, and each is of one task', (t) => {
  const shape = shapes[0] as WindowShape;
  const source = taskBatches(optionsOf(shape));
  let translations = 0;
  const steps = 400;
  for (let step = 0; step < steps; step++) {
    const batch = source.trainBatch(step, 0, 4);
    if (isTranslation(batch)) translations++;
    t.false(isTranslation(batch) && batch.ids_T.includes(EN));
  }
  t.true(Math.abs(translations / steps - 0.6) < 0.1, `${translations}`);
});

test('taskBatches: languages follow temperature, and an epoch of one shows each of its windows once', (t) => {
  const shape = shapes[0] as WindowShape;
  const [translation] = tasksOf(shape);
  const tasks = translation === undefined ? [] : [translation];
  const source = taskBatches(optionsOf(shape, { tasks }));
  const seen = new Map<string, string[]>([
    ['en-de', []],
    ['en-fr', []],
  ]);
  for (let step = 0; step < 300; step++) {
    const batch = source.trainBatch(step, 0, 4);
    for (let i = 0; i < 4; i++) {
      const first = batch.source?.ids_T[i * 24] ?? 0;
      seen.get(first >= 60_000 ? 'en-fr' : 'en-de')?.push(sequenceOf(batch, i, shape));
    }
  }
  const counts = (translation?.parts ?? []).map(({ train }) => train.count);
  t.deepEqual(counts, [200, 20]);
  for (const sequences of seen.values()) {
    const distinct = new Set(sequences).size;
    // The first `distinct` of them are one epoch or less.
    t.is(new Set(sequences.slice(0, distinct)).size, distinct);
    t.true(sequences.length > distinct, 'more than one epoch was shown');
    t.notDeepEqual(sequences.slice(0, distinct), sequences.slice(distinct, 2 * distinct));
    t.deepEqual(
      sequences.slice(0, distinct).toSorted(),
      sequences.slice(distinct, 2 * distinct).toSorted(),
      'no noise: the same windows again',
    );
  }
  // About ten times as many windows, 10^(1/5) = 1.58 times as often.
  const [large = 0, small = 1] = [...seen.values()].map(({ length }) => length);
  t.true(large / small > 1.2 && large / small < 2.1, `${large / small}`);
});

test('taskBatches: noise differs from epoch to epoch, held-out noise never', (t) => {
  const shape: WindowShape = { source: 100, target: 60 };
  const tasks = tasksOf(shape).slice(1, 2);
  const source = taskBatches(optionsOf(shape, { tasks, batch: 1 }));
  t.true(source.numTrainWindows > 5);
  const epochs = [0, 1].map((epoch) =>
    Array.from({ length: source.numTrainWindows }, (_, i) =>
      sequenceOf(source.trainBatch(epoch * source.numTrainWindows + i, 0, 1), 0, shape),
    ),
  );
  t.is(new Set(epochs.flat()).size, 2 * source.numTrainWindows);
  t.deepEqual(source.evalBatch(0, 3), taskBatches(optionsOf(shape, { tasks, batch: 1 })).evalBatch(0, 3));
});

test('taskBatches: the table of held-out sequences says whose they are, and the first few are of every part', (t) => {
  for (const shape of shapes) {
    const source = taskBatches(optionsOf(shape));
    const parts = source.evaluationParts ?? [];
    t.deepEqual(
      parts.map(({ task, language }) => `${task} ${language}`),
      ['translation en-de', 'translation en-fr', 'spans en', 'bart en'],
    );
    const owners = parts.flatMap(({ sequences }) => sequences).toSorted((a, b) => a - b);
    t.deepEqual(owners, [...Array.from({ length: source.numEvalSequences }).keys()]);
    let total = 0;
    for (const [index, { sequences, numTargets }] of parts.entries()) {
      t.is(sequences[0], index);
      let targets = 0;
      for (const sequence of sequences) {
        const batch = source.evalBatch(sequence, 1);
        t.is(isTranslation(batch), index < 2);
        targets += batch.targets_T.filter((target) => target >= 0).length;
      }
      t.is(targets, numTargets);
      total += targets;
    }
    t.is(total, source.numEvalTargets);
    t.true(source.evalBatch(source.numEvalSequences, 1).valid_T.every((valid) => valid === 0));
  }
});

test('joinedTexts: as many texts together as fit, a line feed between them, a longer one by itself', (t) => {
  const texts = textsOf([2, 3, 0, 4, 12, 1]);
  const joined = joinedTexts(texts, all(texts), { separator: Int32Array.of(999), longest: 10 });
  t.deepEqual([...joined.starts], [0, 6, 10, 22, 23]);
  t.deepEqual([...joined.tokens.subarray(0, 7)], [24, 25, 999, 26, 27, 28, 29]);
});

test('taskBatches: a task that is not evaluated is trained all the same', (t) => {
  const shape = shapes[0] as WindowShape;
  const tasks = tasksOf(shape).map((task, index) => ({ ...task, evaluate: index === 0 }));
  const [source, all] = [taskBatches(optionsOf(shape, { tasks })), taskBatches(optionsOf(shape))];
  t.deepEqual(
    source.evaluationParts?.map(({ task, language }) => `${task} ${language}`),
    ['translation en-de', 'translation en-fr'],
  );
  t.true(source.numEvalSequences > 0 && source.numEvalSequences < all.numEvalSequences);
  for (let step = 0; step < 20; step++)
    t.deepEqual(source.trainBatch(step, 0, 4), all.trainBatch(step, 0, 4));
});
