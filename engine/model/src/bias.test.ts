import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { defaultRouter, gateBiasId, type MoeConfig } from '@troupe/spec';
import { LocalModel } from './local-model.ts';
import { tinyBatch, tinyConfig, tinyUpdate } from './testing/tiny-model.ts';

const RATE = 0.01;
const balance = { auxLoss: 0.3, zLoss: 0.1, scope: 'sequence', layers: 'each' } as const;
async function open(moe: Partial<MoeConfig>, bias = RATE) {
  const router = { ...defaultRouter, scores: 'sigmoid' } as const;
  const config = tinyConfig({ moe: { router, balance: { ...balance, bias, domain: 1 }, ...moe } });
  const model = new LocalModel(openReferenceDevice({ dtype: 'f32' }), { config, sequences: 4, grains: 2 });
  await model.initialise(3);
  const biasOf = (layer: number) => Array.from(model.device.read(model.weights.view(gateBiasId(layer))));
  return { config, model, biasOf };
}

test('bias: moves by one rate towards the mean of what was chosen, layer by layer, and decays by nothing', async (t) => {
  const { config, model, biasOf } = await open({});
  const expected = [0, 1].map(() => [0, 0, 0, 0]);
  for (let step = 0; step < 4; step++) {
    await model.lossAndGradients(tinyBatch(config));
    for (const { layer, counts_E } of model.statistics.byLayer()) {
      const rows = counts_E.reduce((a, b) => a + b, 0);
      t.is(rows, 2 * 16, 'padding chooses nothing');
      counts_E.forEach((count, expert) => {
        const due = Math.sign(rows - 4 * count);
        expected[layer]![expert] = Math.fround(expected[layer]![expert]! + Math.fround(RATE) * due);
      });
    }
    await model.adamwStep(tinyUpdate);
    t.deepEqual([biasOf(0), biasOf(1)], expected, `step ${step}`);
  }
  t.true(expected.flat().some((each) => each > 0) && expected.flat().some((each) => each < 0));
});

test('bias: chooses, and neither weighs nor is trained', async (t) => {
  const { config, model } = await open({});
  const { norm, gradients } = await model.lossAndGradients(tinyBatch(config));
  const plain = await open({}, 0);
  const without = await plain.model.lossAndGradients(tinyBatch(config));
  t.is(norm, without.norm, 'a bias of zero changes nothing, and what it counts is in no norm');
  t.true(model.device.read(gradients.view(gateBiasId(0))).every((each) => each === 0));
  // A bias far above every score: all tokens choose that expert, with the weights of their own scores.
  const act = model.trainingActivations.moe(0);
  model.device.write(model.weights.view(gateBiasId(0)), [0, 0, 0, 9]);
  await model.lossAndGradients(tinyBatch(config));
  const choices = model.device.read(act.choices_TK);
  const scores = model.device.read(act.probs_TE);
  const weights = model.device.read(act.weights_TK);
  for (let token = 0; token < 10; token++) {
    const [first = 0, last = 0] = choices.slice(2 * token, 2 * token + 2);
    t.is(last, 3);
    const [a = 0, b = 0] = [scores[4 * token + first], scores[4 * token + last]];
    t.true(Math.abs(weights[2 * token]! - a / (a + b)) < 1e-6);
    t.true(a < 1 && b < 1);
  }
});

test('bias: all tokens at one expert, no valid token, and a gradient that is not finite', async (t) => {
  const { config, model, biasOf } = await open({ choice: 'learned', topK: 1 });
  model.device.write(model.weights.view(gateBiasId(0)), [0, 5, 0, 0]);
  await model.lossAndGradients(tinyBatch(config));
  await model.adamwStep(tinyUpdate);
  const rate = Math.fround(RATE);
  t.deepEqual(biasOf(0), [rate, Math.fround(5 - rate), rate, rate]);
  const before = [biasOf(0), biasOf(1)];
  const padding = { ...tinyBatch(config), valid_T: new Uint8Array(24) };
  await model.lossAndGradients({ ...padding, targets_T: new Int32Array(24).fill(-1) });
  await model.adamwStep(tinyUpdate);
  t.deepEqual([biasOf(0), biasOf(1)], before, 'nothing was due');
  model.device.write(model.weights.view('head'), [Number.NaN]);
  t.true(Number.isNaN((await model.lossAndGradients(tinyBatch(config))).norm));
  await model.adamwStep(tinyUpdate);
  t.deepEqual([biasOf(0), biasOf(1)], before, 'a step that is not applied');
});
