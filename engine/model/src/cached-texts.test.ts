import test, { type ExecutionContext } from 'ava';
import { loadDevice, openReferenceDevice } from '@troupe/kernels';
import type { Device } from '@troupe/kernel-set';
import { defaultRouter } from '@troupe/spec';
import { CachedTexts, type TextFormats } from './cached-texts.ts';
import { Generator, windowBatch } from './generate.ts';
import { cacheLength, KeyValueCache } from './key-value-cache.ts';
import { LocalModel } from './local-model.ts';
import { tensorShare, wholeShare } from './tensor-share.ts';
import { tinyChoice, tinyConfig, tinyBatch, tinyUpdate, type TinyChanges } from './testing/tiny-model.ts';
import type { TextModel, TextSoFar } from './text-model.ts';

const SEQ_LEN = 90;

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
  const recomputed = async (ids: readonly number[]) =>
    Array.from(
      await whole.logits(windowBatch([ids.slice(-SEQ_LEN)], SEQ_LEN, SEQ_LEN), {
        firstRow: Math.min(ids.length, SEQ_LEN) - 1,
        rows: 1,
      }),
    );
  const cached = (slots: number, length = SEQ_LEN) =>
    new CachedTexts(device, config, weights, { ...formats, slots, length });
  return { config, weights, recomputed, cached };
}

const idsOf = (length: number, seed: number): readonly number[] =>
  Array.from({ length }, (_, at) => (at * at + seed * 7 + at) % 11);

/** Texts of several lengths grow together; their logits are those of the window, bit for bit. */
async function sameAsWindow(t: ExecutionContext, device: Device, of: Case): Promise<void> {
  const { recomputed, cached } = await open(device, of);
  const texts = cached(4);
  const lengths = [1, 17, 82, 5];
  for (let more = 0; more < 3; more++) {
    const asked = [2, 0, 3, 1].map((slot): TextSoFar => ({
      slot,
      ids: idsOf((lengths[slot] ?? 1) + (slot === 0 && more > 0 ? 2 * more + 1 : more), slot),
    }));
    const found = (await texts.nextLogits(asked)).map((each) => Array.from(each));
    for (const [index, { slot, ids }] of asked.entries())
      t.deepEqual(found[index], await recomputed(ids), `slot ${slot}, ${ids.length} tokens`);
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
    await sameAsWindow(t, device, {
      changes: { dModel: 20, heads: 2, kvHeads: 1, headDim: 10 },
      formats: { precision },
    });
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
