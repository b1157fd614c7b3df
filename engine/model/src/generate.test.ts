import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { GenerationError } from './errors.ts';
import type { GenerateOptions } from './continuations.ts';
import { Generator } from './generate.ts';
import { LocalModel } from './local-model.ts';
import { tinyChoice, tinyConfig } from './testing/tiny-model.ts';

async function open(seqLen: number): Promise<{ generator: Generator; model: LocalModel }> {
  const config = tinyConfig({ seqLen });
  const device = openReferenceDevice();
  const model = new LocalModel(device, { config, sequences: 1 });
  await model.initialise(3);
  return { generator: new Generator(device, config, model.weights), model };
}

async function text(
  generator: Generator,
  prompt: number[],
  options: Partial<GenerateOptions>,
): Promise<number[]> {
  const ids: number[] = [];
  for await (const id of generator.generate(prompt, { maxTokens: 6, seed: 4, ...options })) ids.push(id);
  return ids;
}

test('generate: greedy ids are the largest logits of the growing text, whatever the window', async (t) => {
  const prompt = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9];
  const { generator, model } = await open(40);
  const found = await text(generator, prompt, { temperature: 0 });
  const context = [...prompt];
  for (const id of found) {
    const ids_T = new Int32Array(40);
    ids_T.set(context);
    const logits = await model.logits(
      {
        ids_T,
        targets_T: new Int32Array(40).fill(-1),
        firstSeen_T: new Int32Array(40),
        valid_T: new Uint8Array(40).fill(1),
      },
      { firstRow: context.length - 1, rows: 1 },
    );
    t.is(id, logits.indexOf(Math.max(...logits)));
    context.push(id);
  }
  t.is(found.length, 6);
});

test('generate: the same seed gives the same text, another seed another', async (t) => {
  const { generator } = await open(8);
  const options = { maxTokens: 12, temperature: 1.5 };
  const first = await text(generator, [1, 2], options);
  t.is(first.length, 12);
  t.deepEqual(await text(generator, [1, 2], options), first);
  t.notDeepEqual(await text(generator, [1, 2], { ...options, seed: 5 }), first);
});

test('generate: a stop token ends the text, but not before minTokens', async (t) => {
  const { generator } = await open(16);
  const [first] = await text(generator, [7], { temperature: 0 });
  t.deepEqual(await text(generator, [7], { temperature: 0, stop: [first!] }), []);
  const later = await text(generator, [7], { temperature: 0, stop: [first!], minTokens: 2 });
  t.true(later.length >= 2 && !later.includes(first!));
});

test('generate: a model whose logits are not finite says so instead of drawing from them', async (t) => {
  const { generator, model } = await open(16);
  await text(generator, [7], {});
  const { data } = model.weights;
  model.device.write(data, new Float64Array(data.length).fill(Number.NaN));
  await t.throwsAsync(text(generator, [7], {}), {
    instanceOf: GenerationError,
    message: /not finite \(overflow\)/u,
  });
});

test('generate: prompts that cannot be continued are refused', async (t) => {
  const { generator } = await open(8);
  await t.throwsAsync(text(generator, [], {}), { instanceOf: GenerationError });
  await t.throwsAsync(text(generator, [11], {}), { instanceOf: GenerationError });
});

test('generate: a model whose experts choose among sequences is refused, and told why', async (t) => {
  const config = tinyConfig({ moe: tinyChoice(2) });
  const device = openReferenceDevice();
  const { weights } = new LocalModel(device, { config, sequences: 2 });
  await t.throwsAsync(text(new Generator(device, config, weights), [1], {}), {
    instanceOf: GenerationError,
    message:
      /experts of this model choose tokens among the sequences of a batch .* a text is one sequence.*generate=thresholds/u,
  });
});
