import test from 'ava';
import { assert } from '@troupe/core';
import { openReferenceDevice } from '@troupe/kernels';
import { LocalModel, type LocalGradients, type LocalModelOptions } from './index.ts';
import { tinyBatch, tinyConfig } from './testing/tiny-model.ts';

const config = tinyConfig({ moe: { experts: 4, topK: 2, sharedExperts: 1 } });
const batch = tinyBatch(config);

async function computed(
  options: Partial<LocalModelOptions>,
): Promise<{ readonly model: LocalModel; readonly found: LocalGradients }> {
  const model = new LocalModel(openReferenceDevice({ dtype: 'f32' }), {
    config,
    sequences: 4,
    grains: 2,
    ...options,
  });
  await model.initialise(3);
  return { model, found: await model.lossAndGradients(batch) };
}

const isBf16 = (values: ArrayLike<number>): boolean => {
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  return bits.some((word) => word !== 0) && bits.every((word) => (word & 0xffff) === 0);
};

/** What passes between gates and experts of layer 0. */
function passed({ device, trainingActivations: act }: LocalModel) {
  const { packed_UD, returned_ND, shares } = act.moe(0);
  const { dPacked_UD, dReturned_ND } = act.gradients;
  const [plan] = shares;
  assert(plan, 'there is one chunk');
  const rows = Array.from({ length: act.ranks }, (_, rank) => plan.of(rank));
  const numRows = rows.reduce((sum, each) => sum + each.numRows, 0) * config.dModel;
  const numTokens =
    (act.ranks === 1 ? act.tokens : rows.reduce((sum, each) => sum + each.numTokens, 0)) * config.dModel;
  return {
    tokens: device.read(packed_UD.subarray(0, numTokens)),
    outputs: device.read(returned_ND.subarray(0, numRows)),
    outputGradients: device.read(dPacked_UD.subarray(0, numTokens)),
    inputGradients: device.read(dReturned_ND.subarray(0, numRows)),
  };
}

test('wire: in bf16 rows, outputs and both gradients are rounded, what the router sees is not', async (t) => {
  for (const ranks of [1, 2]) {
    const { model } = await computed({ rowFormat: 'bf16', ranks });
    for (const [name, values] of Object.entries(passed(model))) t.true(isBf16(values), `${name}, ${ranks}`);
    const act = model.trainingActivations;
    t.false(isBf16(model.device.read(act.layer(0).normed_TD)));
    t.false(isBf16(model.device.read(act.moe(0).rowWeights_N)));
  }
  const { model } = await computed({ ranks: 2 });
  for (const values of Object.values(passed(model))) t.false(isBf16(values));
});

test('wire: the numbers do not depend on how many ranks the rows go to, and are not those of f32', async (t) => {
  const [one, two, four, plain] = await Promise.all([
    computed({ rowFormat: 'bf16', ranks: 1 }),
    computed({ rowFormat: 'bf16', ranks: 2 }),
    computed({ rowFormat: 'bf16', ranks: 4 }),
    computed({ ranks: 4 }),
  ]);
  const bitsOf = ({ model, found }: typeof one) => ({
    loss: found.loss,
    norm: found.norm,
    gradients: model.device.read(found.gradients.data),
  });
  t.deepEqual(bitsOf(two), bitsOf(one));
  t.deepEqual(bitsOf(four), bitsOf(one));
  t.not(plain.found.loss, one.found.loss);
  t.true(Math.abs(plain.found.loss - one.found.loss) < 1e-2 * plain.found.loss);
});

test('wire: evaluation and generation round as training does', async (t) => {
  const { model, found } = await computed({ rowFormat: 'bf16' });
  t.is((await model.forward(batch)).loss, found.loss);
});
