import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { defaultRouter, expertTake, gateThresholdsId, type MoeConfig } from '@troupe/spec';
import { denseBatch } from './batch.ts';
import { Generator } from './generate.ts';
import { LocalModel } from './local-model.ts';
import { tinyBatch, tinyChoice, tinyConfig, tinyUpdate } from './testing/tiny-model.ts';

async function open(generate: 'thresholds' | 'refuse', changes: Partial<MoeConfig> = {}) {
  const { router, ...moe } = tinyChoice(2, changes);
  const config = tinyConfig({ moe: { ...moe, router: { ...defaultRouter, ...router, generate } } });
  const model = new LocalModel(openReferenceDevice({ dtype: 'f32' }), { config, sequences: 4, grains: 2 });
  await model.initialise(3);
  const pairsOf = (layer: number) =>
    Array.from(model.device.read(model.weights.view(gateThresholdsId(layer))));
  return { config, model, pairsOf };
}

/** Mean of the k-th probabilities of an expert over all groups of the last training pass, worked out from its probabilities. */
function meansOf({ config, model }: Awaited<ReturnType<typeof open>>, layer: number): readonly number[] {
  const moe = config.moe!;
  const { valid_T } = tinyBatch(config);
  const probs = model.device.read(model.trainingActivations.moe(layer).probs_TE);
  const n = moe.router.groupSequences;
  return Array.from({ length: moe.experts }, (_, e) => {
    const found: number[] = [];
    for (let group = 0; group < 4 / n; group++)
      for (let q = 0; q < config.seqLen; q++) {
        const tokens = Array.from({ length: n }, (_, s) => (group * n + s) * config.seqLen + q);
        const own = tokens.filter((t) => valid_T[t] === 1).map((t) => probs[t * moe.experts + e]!);
        const taken = Math.floor((2 * own.length * expertTake(moe) + n) / (2 * n));
        if (taken > 0) found.push(own.sort((a, b) => b - a)[taken - 1]!);
      }
    return found.reduce((a, b) => a + b, 0) / found.length;
  });
}

const isNear = (a: number, b: number): boolean => Math.abs(a - b) < 1e-7;

test('thresholds: the first step takes the mean of the k-th probabilities, each later one a hundredth of its own', async (t) => {
  const opened = await open('thresholds');
  const { config, model, pairsOf } = opened;
  const expected: number[][] = [];
  for (let step = 0; step < 3; step++) {
    await model.lossAndGradients(tinyBatch(config));
    for (const layer of [0, 1]) {
      const means = meansOf(opened, layer);
      const before = expected[layer];
      expected[layer] = means.map((mean, e) =>
        before === undefined ? mean : 0.99 * before[e]! + 0.01 * mean,
      );
    }
    await model.adamwStep(tinyUpdate);
    for (const layer of [0, 1])
      pairsOf(layer).forEach((found, at) => {
        if (at % 2 === 1) t.is(found, step + 1);
        else t.true(isNear(found, expected[layer]![at / 2]!), `${step} ${layer} ${at}`);
      });
  }
});

test('thresholds: change no loss, no norm and no other parameter; padding, evaluation and a skipped step change no threshold', async (t) => {
  const [learning, refusing] = [await open('thresholds'), await open('refuse')];
  for (let step = 0; step < 2; step++) {
    const found = [];
    for (const { model, config } of [learning, refusing]) {
      const { loss, total, norm } = await model.lossAndGradients(tinyBatch(config));
      await model.adamwStep(tinyUpdate);
      found.push({ loss, total, norm, gate: Array.from(model.device.read(model.weights.view('L1/gate'))) });
    }
    t.deepEqual(found[0], found[1]);
  }
  const { config, model, pairsOf } = learning;
  const before = [pairsOf(0), pairsOf(1)];
  await model.forward(tinyBatch(config));
  const padding = {
    ...tinyBatch(config),
    valid_T: new Uint8Array(24),
    targets_T: new Int32Array(24).fill(-1),
  };
  await model.lossAndGradients(padding);
  await model.adamwStep(tinyUpdate);
  t.deepEqual([pairsOf(0), pairsOf(1)], before, 'no group took anybody');
  model.device.write(model.weights.view('head'), [Number.NaN]);
  t.true(Number.isNaN((await model.lossAndGradients(tinyBatch(config))).norm));
  await model.adamwStep(tinyUpdate);
  t.deepEqual([pairsOf(0), pairsOf(1)], before, 'a step that is not applied');
});

test('thresholds: generation takes every expert whose probability reaches its threshold, from a prompt of one token on', async (t) => {
  const { config, model } = await open('thresholds');
  for (let step = 0; step < 3; step++) {
    await model.lossAndGradients(tinyBatch(config));
    await model.adamwStep(tinyUpdate);
  }
  const { device, weights } = model;
  const generator = new Generator(device, config, weights);
  t.is(generator.meanExperts, null);
  const text = async (prompt: readonly number[]) => {
    const found: number[] = [];
    for await (const id of generator.generate(prompt, { maxTokens: 9, seed: 1 })) found.push(id);
    return found;
  };
  const found = await text([7]);
  t.is(found.length, 9);
  t.deepEqual(await text([7]), found);
  const mean = generator.meanExperts ?? Number.NaN;
  t.true(mean > 0.5 && mean < 4, `${mean}`);

  // All thresholds above 1: nobody is taken. At 0: everybody is.
  for (const [threshold, expected] of [
    [2, 0],
    [0, 4],
  ] as const) {
    for (const layer of [0, 1])
      device.write(
        weights.view(gateThresholdsId(layer)),
        Array.from({ length: 8 }, (_, at) => (at % 2 === 0 ? threshold : 3)),
      );
    const one = new LocalModel(device, { config, sequences: 1 }, weights);
    await one.logits({ ...denseBatch(new Int32Array(6), 6), targets_T: new Int32Array(6).fill(-1) });
    for (const { counts_E } of one.statistics.byLayer())
      t.is(
        counts_E.reduce((a, b) => a + b, 0),
        6 * expected,
      );
  }
});
