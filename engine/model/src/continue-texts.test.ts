import test from 'ava';
import * as fc from 'fast-check';
import { openReferenceDevice } from '@troupe/kernels';
import { continueTexts, slotsOf } from './continue-texts.ts';
import { beamTexts } from './continuations.ts';
import { GenerationError } from './errors.ts';
import { Generator, type TextRequest, type WriteOptions } from './generate.ts';
import { LocalModel } from './local-model.ts';
import { tinyConfig } from './testing/tiny-model.ts';

test('texts: a slot that is kept is never forked into, and every text has a slot of its own', (t) => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(20), { minLength: 6, maxLength: 6 }),
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.nat(5), { minLength: 0, maxLength: 6 }),
      (own, numOld, drawn) => {
        const old = own.slice(0, numOld);
        const parents = drawn.map((each) => each % numOld);
        const held = new Map(old.map((slot, text) => [slot, text]));
        const { slots, forks } = slotsOf(old, parents, own);
        for (const [from, to] of forks) held.set(to, held.get(from)!);
        t.is(new Set(slots).size, parents.length);
        t.deepEqual(
          slots.map((slot) => held.get(slot)),
          parents,
        );
        t.true(slots.every((slot) => own.includes(slot)));
      },
    ),
  );
});

async function open(seqLen: number): Promise<Generator> {
  const config = tinyConfig({ seqLen });
  const device = openReferenceDevice();
  const model = new LocalModel(device, { config, sequences: 1 });
  await model.initialise(3);
  return new Generator(device, config, model.weights);
}

async function written(generator: Generator, requests: readonly TextRequest[], options: WriteOptions) {
  const found = [];
  for await (const each of generator.write(requests, options)) found.push(each);
  return found;
}

/** Of 1 to 12 tokens, more than are written at once. */
const requests = Array.from({ length: 11 }, (_, index) => ({
  prompt: Array.from({ length: 1 + ((index * 5) % 12) }, (__, at) => (index * 3 + at * 7) % 11),
  seed: index % 3,
}));

for (const [how, options] of Object.entries({
  drawn: { maxTokens: 7, seed: 1, temperature: 1.2, topK: 0, topP: 1, stop: [4, 5] },
  greedy: { maxTokens: 7, seed: 1, temperature: 0 },
  searched: { maxTokens: 5, seed: 1, beams: 3, stop: [4] },
}))
  test(`texts: ${how} together, each prompt gets what it gets alone`, async (t) => {
    const generator = await open(16);
    const together = await written(generator, requests, options);
    t.is(together.length, requests.length);
    for (const [index, request] of requests.entries())
      t.deepEqual((await written(await open(16), [request], options))[0], together[index], `prompt ${index}`);
    t.true(new Set(together.map(([first]) => String(first!.ids))).size > 5, 'they differ');
  });

test('texts: one text is that of generate, token by token', async (t) => {
  const generator = await open(16);
  for (const { prompt, seed } of requests.slice(0, 4)) {
    const options = { maxTokens: 6, seed, temperature: 1.5 };
    const ids: number[] = [];
    for await (const id of generator.generate(prompt, options)) ids.push(id);
    t.deepEqual((await written(generator, [{ prompt }], options))[0]![0]!.ids, ids);
  }
});

test('texts: more beams than there are slots, and prompts that cannot be continued, are refused', async (t) => {
  const model = { vocab: 3, slots: 2, nextLogits: () => Promise.resolve([]) };
  const texts = continueTexts(model, [beamTexts([1], { beams: 3, maxTokens: 4 }, 3)]);
  await t.throwsAsync(texts.next(), {
    instanceOf: GenerationError,
    message: /beams 3 is more than the 2 texts/,
  });
  const generator = await open(8);
  for (const prompt of [[], [11]])
    await t.throwsAsync(written(generator, [{ prompt: [1] }, { prompt }], { maxTokens: 2, seed: 1 }), {
      instanceOf: GenerationError,
    });
  await t.throwsAsync(written(generator, [{ prompt: [1] }], { maxTokens: 2, seed: 1, beams: 0 }), {
    instanceOf: GenerationError,
  });
});
