import test from 'ava';
import type { HostFloats } from '@troupe/core';
import { withoutQueue, type Device } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import type { ModelConfig } from '@troupe/spec';
import { denseBatch } from './batch.ts';
import { BatchLengthError, StageShapeError } from './errors.ts';
import { LocalModel, type LocalModelOptions } from './local-model.ts';
import { tinyBatch, tinyConfig } from './testing/tiny-model.ts';

async function initialised(options: LocalModelOptions): Promise<LocalModel> {
  const model = new LocalModel(openReferenceDevice(), options);
  await model.initialise(3);
  return model;
}

const open = (config: ModelConfig, options: Partial<LocalModelOptions> = {}): Promise<LocalModel> =>
  initialised({ config, sequences: 4, grains: 2, ...options });

test('model: tokens after a position do not change its logits', async (t) => {
  const config = tinyConfig({ moe: { every: 2 } });
  const model = await open(config, { sequences: 1, grains: 1 });
  const ids = Int32Array.from([3, 1, 4, 1, 5, 9]);
  const before = await model.logits(denseBatch(ids, 6));
  for (let position = 1; position < 6; position++) {
    const changed = ids.map((id, i) => (i < position ? id : (id + 3 + i) % 11));
    const after = await model.logits(denseBatch(changed, 6));
    t.deepEqual(after.slice(0, position * 11), before.slice(0, position * 11));
    t.notDeepEqual(after.slice(position * 11), before.slice(position * 11));
  }
});

test('model: a document does not see the one before it', async (t) => {
  const config = tinyConfig();
  const model = await open(config);
  const batch = tinyBatch(config);
  const first = 2 * 6 * 11 + 3 * 11;
  const before = (await model.logits(batch)).slice(first, first + 3 * 11);
  const ids_T = batch.ids_T.map((id, t) => (t >= 12 && t < 15 ? (id + 1) % 11 : id));
  const after = (await model.logits({ ...batch, ids_T })).slice(first, first + 3 * 11);
  t.deepEqual(after, before);
  const seen = (await model.logits({ ...batch, ids_T, firstSeen_T: new Int32Array(24) })).slice(
    first,
    first + 3 * 11,
  );
  t.notDeepEqual(seen, before);
});

test('model: padding is neither routed nor counted', async (t) => {
  const config = tinyConfig();
  const model = await open(config);
  const batch = tinyBatch(config);
  const loss = await model.lossAndGradients(batch);
  const counts = model.device.read(model.statistics.of(0).counts_E);
  t.is(
    counts.reduce((a, b) => a + b, 0),
    2 * (24 - 8),
  );
  const ids_T = batch.ids_T.map((id, t) => (batch.valid_T[t] === 0 ? (id + 5) % 11 : id));
  const other = await model.forward({ ...batch, ids_T });
  t.is(other.total, loss.total);
});

for (const ranks of [2, 4]) {
  for (const choice of ['learned', 'skewed'] as const) {
    test(`model: ${ranks} ranks of experts compute what one computes, ${choice} choices`, async (t) => {
      const config = tinyConfig({ moe: { sharedExperts: 1, topK: 2, choice } });
      const batch = tinyBatch(config);
      const one = await open(config);
      const many = await open(config, { ranks });
      const expected = await one.lossAndGradients(batch);
      const found = await many.lossAndGradients(batch);
      t.is(found.total, expected.total);
      t.deepEqual(many.device.read(found.gradients.data), one.device.read(expected.gradients.data));
      t.is((await many.forward(batch)).total, expected.total);
    });
  }
}

test('model: grains change no loss and gradients only by rounding', async (t) => {
  const config = tinyConfig();
  const batch = tinyBatch(config);
  const computed = async (grains: number) => {
    const model = await open(config, { grains });
    const { total, gradients } = await model.lossAndGradients(batch);
    return { total, gradients: model.device.read(gradients.data) };
  };
  const [one, four] = [await computed(1), await computed(4)];
  t.true(Math.abs(one.total - four.total) < 1e-10);
  t.true(one.gradients.every((each, i) => Math.abs(each - four.gradients[i]!) < 1e-13));
});

test('model: AdamW steps lower the loss, and an unused expert only decays', async (t) => {
  const config = tinyConfig({ moe: { choice: 'skewed', experts: 8, topK: 1 } });
  const model = await open(config);
  const batch = tinyBatch(config);
  const options = { learningRate: 0.01, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, clip: 1 };
  const first = await model.lossAndGradients(batch);
  const unused = model.device.read(model.statistics.of(0).counts_E).indexOf(0);
  t.not(unused, -1);
  const weights = (): HostFloats => model.device.read(model.weights.view(`L0/expert${unused}`));
  const before = weights().slice();
  await model.adamwStep(options);
  t.true(weights().every((each, i) => Math.abs(each - before[i]! * (1 - 0.01 * 0.1)) < 1e-15));
  for (let step = 0; step < 30; step++) {
    await model.lossAndGradients(batch);
    await model.adamwStep(options);
  }
  const last = await model.forward(batch);
  t.log(`loss ${first.loss.toFixed(3)} → ${last.loss.toFixed(3)} in 31 steps`);
  t.true(last.loss < first.loss - 1);
});

test('model: a weight that is not finite makes every loss NaN, and a step then changes nothing', async (t) => {
  const config = tinyConfig({
    moe: { balance: { auxLoss: 0.3, zLoss: 0, scope: 'global', layers: 'each', bias: 0, domain: 1 } },
  });
  const model = await open(config);
  model.device.write(model.weights.view('L0/gate').subarray(3), [Number.NaN]);
  const before = model.device.read(model.weights.data).slice();
  const { loss, auxLoss, zLoss, norm } = await model.lossAndGradients(tinyBatch(config));
  t.deepEqual([loss, auxLoss, zLoss, norm], [Number.NaN, Number.NaN, 0, Number.NaN]);
  await model.adamwStep({ learningRate: 0.1, beta1: 0.9, beta2: 0.9, eps: 1e-8, weightDecay: 1, clip: 1 });
  t.deepEqual(model.device.read(model.weights.data), before);
});

test('model: a batch without valid targets has loss 0 and no cross entropy gradient', async (t) => {
  const config = tinyConfig({
    moe: { balance: { auxLoss: 0, zLoss: 0, scope: 'sequence', layers: 'each', bias: 0, domain: 1 } },
  });
  const model = await open(config);
  const batch = { ...tinyBatch(config), targets_T: new Int32Array(24).fill(-1) };
  const { total, norm } = await model.lossAndGradients(batch);
  t.deepEqual([total, norm], [0, 0]);
});

test('model: wrong shapes are refused', async (t) => {
  const config = tinyConfig();
  const batch = tinyBatch(config);
  const model = await open(config);
  await t.throwsAsync(model.forward({ ...batch, valid_T: new Uint8Array(3) }), {
    instanceOf: BatchLengthError,
  });
  const uneven = await open(config, { grains: 3 });
  await t.throwsAsync(uneven.forward(batch), { instanceOf: StageShapeError });
  const ranks = await open(config, { ranks: 3 });
  await t.throwsAsync(ranks.forward(batch), { instanceOf: StageShapeError });
});

test('model: an id outside the vocabulary is the device error of the call', async (t) => {
  const config = tinyConfig();
  const model = await open(config);
  const batch = tinyBatch(config);
  await t.throwsAsync(model.forward({ ...batch, ids_T: batch.ids_T.with(3, 11) }), {
    code: 'TROUPE_KERNEL_RANGE',
  });
});

test('model: a steady step allocates nothing on the device', async (t) => {
  const device = openReferenceDevice();
  let allocations = 0;
  const count = <A>(array: A): A => {
    allocations += 1;
    return array;
  };
  const counted: Device = {
    ...withoutQueue(device),
    floats: (length) => count(device.floats(length)),
    halves: (length) => count(device.halves(length)),
    ints: (length) => count(device.ints(length)),
    int64s: (length) => count(device.int64s(length)),
    bytes: (length) => count(device.bytes(length)),
    submit: (calls, done) => device.submit(calls, done),
  };
  const config = tinyConfig({ moe: { every: 2, sharedExperts: 1 } });
  const model = new LocalModel(counted, { config, sequences: 4 });
  await model.initialise(3);
  const step = async (): Promise<void> => {
    await model.lossAndGradients(tinyBatch(config));
    await model.adamwStep({ learningRate: 0.1, beta1: 0.9, beta2: 0.9, eps: 1e-8, weightDecay: 0, clip: 1 });
    await model.forward(tinyBatch(config));
  };
  await step();
  t.true(allocations > 0);
  allocations = 0;
  // Other routing than in the first step: weights have moved.
  await step();
  t.is(allocations, 0);
});
