import test, { type ExecutionContext } from 'ava';
import { loadDevice, openReferenceDevice } from '@troupe/kernels';
import type { Device } from '@troupe/kernel-set';
import { defaultRouter } from '@troupe/spec';
import { CachedTexts, type TextFormats } from './cached-texts.ts';
import { GenerationError } from './errors.ts';
import { Generator, type TextRequest, type WriteOptions } from './generate.ts';
import { cacheLength, KeyValueCache } from './key-value-cache.ts';
import { LocalModel } from './local-model.ts';
import { tensorShare, wholeShare } from './tensor-share.ts';
import { tinyChoice, tinyConfig, tinyBatch, tinyUpdate, type TinyChanges } from './testing/tiny-model.ts';
import type { TextModel, TextSoFar } from './text-model.ts';
import { windowBatch, windowSource } from './window-batch.ts';

const SEQ_LEN = 90;
const SOURCE_LEN = 40;

interface Case {
  readonly changes?: TinyChanges;
  readonly formats?: TextFormats;
  /** Steps before, where experts learn thresholds. */
  readonly steps?: number;
}

async function open(device: Device, { changes = {}, formats = {}, steps = 0 }: Case) {
  const config = tinyConfig({ ...changes, seqLen: SEQ_LEN });
  const model = new LocalModel(device, { config, sequences: steps > 0 ? 4 : 1, ...formats });
  await model.initialise(3);
  for (let step = 0; step < steps; step++) {
    await model.lossAndGradients(tinyBatch(config));
    await model.adamwStep(tinyUpdate);
  }
  const { weights } = model;
  const whole = new LocalModel(device, { config, sequences: 1, ...formats }, weights);
  const recomputed = async (ids: readonly number[], source: readonly number[] = []) => {
    const batch = windowBatch([ids.slice(-SEQ_LEN)], SEQ_LEN, SEQ_LEN);
    const size = { sequences: 1, encoderSeqLen: SOURCE_LEN, seqLen: SEQ_LEN };
    const read = config.encoder === null ? {} : { source: windowSource([source], size) };
    const slice = { firstRow: Math.min(ids.length, SEQ_LEN) - 1, rows: 1 };
    return Array.from(await whole.logits({ ...batch, ...read }, slice));
  };
  const cached = (slots: number, length = SEQ_LEN) =>
    new CachedTexts(device, config, weights, { ...formats, slots, length, sourceLength: SOURCE_LEN });
  return { config, weights, recomputed, cached };
}

const idsOf = (length: number, seed: number): readonly number[] =>
  Array.from({ length }, (_, at) => (at * at + seed * 7 + at) % 11);

/** Texts of several lengths grow together; their logits are those of the window, bit for bit. */
async function sameAsWindow(t: ExecutionContext, device: Device, of: Case): Promise<void> {
  const { config, recomputed, cached } = await open(device, of);
  // The third reads another source in the end.
  const sourceOf = (slot: number, more: number) => idsOf(3 + 11 * slot, slot === 2 ? more : slot);
  const texts = cached(4);
  const lengths = [1, 17, 82, 5];
  for (let more = 0; more < 3; more++) {
    const asked = [2, 0, 3, 1].map((slot): TextSoFar => ({
      slot,
      ids: idsOf((lengths[slot] ?? 1) + (slot === 0 && more > 0 ? 2 * more + 1 : more), slot),
      ...(config.encoder === null ? {} : { source: sourceOf(slot, more) }),
    }));
    const found = (await texts.nextLogits(asked)).map((each) => Array.from(each));
    for (const [index, { slot, ids, source }] of asked.entries())
      t.deepEqual(found[index], await recomputed(ids, source), `slot ${slot}, ${ids.length} tokens`);
  }
}

const experts = (changes: TinyChanges['moe']): Case => ({ changes: { moe: changes ?? null } });

const cases: Readonly<Record<string, Case>> = {
  'experts of top 2': {},
  'a dense model, layer norms, a tied head': {
    changes: { moe: null, norm: { kind: 'layer', eps: 1e-5 }, tiedHead: true },
  },
  'a norm of queries and keys a head': { changes: { qkNorm: 'head', heads: 4, kvHeads: 2 } },
  'a norm of queries and keys': { changes: { qkNorm: 'full', kvHeads: 2 } },
  'shared experts, a norm of the routed, dense layers between': experts({
    every: 2,
    sharedExperts: 1,
    norm: true,
  }),
  'sigmoid scores in groups': experts({
    experts: 8,
    router: { ...defaultRouter, scores: 'sigmoid', groups: 4, topGroups: 2, scale: 2 },
  }),
  'choices by position': experts({ choice: 'balanced' }),
  'two segments of every matrix': {
    changes: { kvHeads: 2 },
    formats: { tensor: tensorShare({ tp: 1, segments: 2, expertsSliced: true }, 0) },
  },
  'experts that choose by thresholds': {
    changes: { moe: tinyChoice(2, { router: { ...tinyChoice(2).router!, generate: 'thresholds' } }) },
    steps: 2,
  },
  'an encoder, biases by distance': {
    changes: {
      layers: 3,
      moe: null,
      encoder: { layers: 1, seqLen: SOURCE_LEN },
      positions: 't5',
      relative: { buckets: 16, maxDistance: 40 },
    },
  },
  'an encoder, experts in every other layer, sines': {
    changes: {
      layers: 5,
      encoder: { layers: 2, seqLen: SOURCE_LEN },
      positions: 'sinusoidal',
      moe: { every: 2 },
    },
  },
  'an encoder, turned queries, two segments, a norm of layers': {
    changes: {
      layers: 4,
      encoder: { layers: 2, seqLen: SOURCE_LEN },
      kvHeads: 2,
      qkNorm: 'head',
      norm: { kind: 'layer', eps: 1e-5 },
    },
    formats: { tensor: tensorShare({ tp: 1, segments: 2, expertsSliced: true }, 0) },
  },
  'an encoder, choices by position': {
    changes: { layers: 4, encoder: { layers: 2, seqLen: SOURCE_LEN }, moe: { choice: 'skewed' } },
  },
  'rows in bf16': { formats: { rowFormat: 'bf16' } },
};

for (const [name, of] of Object.entries(cases))
  test(`cache: ${name}: logits are those of the whole window, bit for bit`, (t) =>
    sameAsWindow(t, openReferenceDevice({ dtype: 'f32' }), of));

for (const precision of ['f32', 'bf16'] as const)
  test(`cache: on the device of this machine in ${precision}, too, with heads as wide as none of its vectors`, async (t) => {
    const device = await loadDevice({ body: 'auto', threads: 2 });
    t.teardown(() => device.close());
    if (!device.info.layoutFree) {
      t.pass('its rows influence each other');
      return;
    }
    const narrow = { dModel: 20, heads: 2, kvHeads: 1, headDim: 10 };
    await sameAsWindow(t, device, { changes: narrow, formats: { precision } });
    const encoder = { layers: 4, encoder: { layers: 2, seqLen: SOURCE_LEN } };
    await sameAsWindow(t, device, { changes: { ...narrow, ...encoder }, formats: { precision } });
  });

test('cache: a slot that gets another text keeps what the two begin with, and one that is forked into all of it', async (t) => {
  const { recomputed, cached } = await open(openReferenceDevice({ dtype: 'f32' }), {});
  const texts = cached(3);
  const logits = async (slot: number, ids: readonly number[]) =>
    Array.from((await texts.nextLogits([{ slot, ids }]))[0] ?? []);
  const first = idsOf(30, 1);
  await logits(0, first);
  for (const ids of [[...first.slice(0, 20), 3, 3, 3], first.slice(0, 9), idsOf(40, 2), [5], first]) {
    t.deepEqual(await logits(0, ids), await recomputed(ids));
    t.deepEqual(await logits(0, ids), await recomputed(ids), 'the same again');
  }
  await texts.fork(0, 2);
  for (const [slot, id] of [
    [0, 1],
    [2, 4],
    [0, 2],
  ] as const)
    t.deepEqual(await logits(slot, [...first, id]), await recomputed([...first, id]));
});

test('cache: a text grows over the model length, where the window is computed again, as it would without a cache', async (t) => {
  const device = openReferenceDevice({ dtype: 'f32' });
  const { config, weights, recomputed } = await open(device, {});
  const options = { maxTokens: 8, seed: 3, temperature: 1.2 };
  const prompts = [idsOf(SEQ_LEN - 3, 1), idsOf(2, 2), idsOf(SEQ_LEN + 9, 3)];
  const plain: TextModel = {
    vocab: config.vocab,
    slots: 1,
    nextLogits: ([text]) => recomputed(text!.ids).then((each) => [Float32Array.from(each)]),
  };
  const { writeTexts } = await import('./generate.ts');
  const requests = prompts.map((prompt) => ({ prompt }));
  const ids = async (found: ReturnType<typeof writeTexts>) => {
    const all: (readonly number[])[] = [];
    for await (const [first] of found) all.push(first!.ids);
    return all;
  };
  const generator = new Generator(device, config, weights);
  t.is(generator.cacheBytes, 0);
  t.deepEqual(await ids(generator.write(requests, options)), await ids(writeTexts(requests, options, plain)));
  // Three texts of 90 positions: 2 layers of one head of keys and values of 4 numbers.
  t.is(generator.cacheBytes, 3 * SEQ_LEN * 2 * 2 * 4 * 4);
});

test('cache: its bytes are what it allocates, and a text has no more positions than it may', async (t) => {
  let allocated = 0;
  const device = openReferenceDevice({ dtype: 'f32' });
  const counting: Device = {
    ...device,
    info: device.info,
    floats: (length) => {
      allocated += length * 4;
      return device.floats(length);
    },
  };
  const config = tinyConfig({ layers: 3, kvHeads: 2 });
  const shape = { slots: 5, length: 12 };
  const cache = new KeyValueCache(counting, config, wholeShare, shape);
  t.is(cache.bytes, allocated);
  t.is(cache.bytes, 4 * cacheLength(config, wholeShare, shape));
  t.is(cacheLength(config, wholeShare, shape), 5 * 12 * 3 * (2 * 4 + 2 * 4));
});

/** A model that reads sources of up to {@link SOURCE_LEN} tokens and writes up to 12. */
async function openReader() {
  const config = tinyConfig({ layers: 4, encoder: { layers: 2, seqLen: SOURCE_LEN }, seqLen: 12 });
  const device = openReferenceDevice({ dtype: 'f32' });
  const model = new LocalModel(device, { config, sequences: 1 });
  await model.initialise(3);
  return () => new Generator(device, config, model.weights);
}

async function allOf(generator: Generator, requests: readonly TextRequest[], options: WriteOptions) {
  const found = [];
  for await (const each of generator.write(requests, options)) found.push(each);
  return found;
}

for (const [how, options] of Object.entries({
  drawn: { maxTokens: 6, seed: 2, temperature: 1.3, stop: [4] },
  searched: { maxTokens: 6, seed: 2, beams: 3, stop: [4] },
}))
  test(`cache: of sources, texts ${how} together are those of each alone`, async (t) => {
    const generator = await openReader();
    const requests = [4, 30, 12, 7, 19].map((length, index) => ({
      prompt: [index % 3],
      source: idsOf(length, index),
    }));
    const together = await allOf(generator(), requests, options);
    for (const [index, request] of requests.entries())
      t.deepEqual((await allOf(generator(), [request], options))[0], together[index]);
    const ids = (texts: typeof together) => String(texts.map(([first]) => first!.ids));
    const others = requests.map(({ prompt }) => ({ prompt, source: [5] }));
    t.not(ids(await allOf(generator(), others, options)), ids(together), 'the source matters');
  });

test('cache: a text behind a source ends with the last position of the model', async (t) => {
  const generator = await openReader();
  const [found] = await allOf(generator(), [{ prompt: [1, 2], source: [3] }], { maxTokens: 99, seed: 1 });
  t.is(found![0]!.ids.length, 11, 'the last is not read again');
  t.false(found![0]!.ended);
});

test('cache: sources that a model cannot read, and texts without the one that it needs, are refused', async (t) => {
  const reader = (await openReader())();
  const options = { maxTokens: 2, seed: 1 };
  const refused = (generator: Generator, request: TextRequest, message: RegExp) =>
    t.throwsAsync(allOf(generator, [request], options), { instanceOf: GenerationError, message });
  await refused(reader, { prompt: [1] }, /this model has an encoder .* give write\(\) a source/);
  await refused(reader, { prompt: [1], source: [] }, /the source has 0 tokens, expected 1 to 40/);
  await refused(reader, { prompt: [1], source: idsOf(41, 1) }, /the source has 41 tokens, expected 1 to 40/);
  await refused(reader, { prompt: [1], source: [11] }, /token 11 is outside the vocabulary of 11/);
  const { config, weights } = await open(openReferenceDevice(), {});
  const plain = new Generator(openReferenceDevice(), config, weights);
  await refused(plain, { prompt: [1], source: [1] }, /this model has no encoder/);
  t.throws(() => reader.generate([1], options), { message: /this model has an encoder/ });
});
