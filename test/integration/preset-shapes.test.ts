import test from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { loadTopology, refuseUnbuilt } from '@troupe/topology';
import { trainTiny } from './tiny-cluster.ts';

/** Sizes that fit the tiny tokens; what makes a model what it is stays. */
const small = [
  'model.vocab=32',
  'model.layers=3',
  'model.dModel=16',
  'model.heads=2',
  'model.seqLen=8',
  'model.ffn.dFf=36',
  'model.moe.experts=16',
  'train.steps=3',
  'train.batch=8',
  'train.grains=8',
  'train.microbatches=2',
  'train.optimizer={lr: 1e-2, warmup: 0}',
  'data.synthetic=zipf',
  'parallel={dp: 2, ep: 2, zero: 2}',
  'machines=[{host: localhost, devices: ["cpu:0", "cpu:1"]}]',
  'checkpoint.every=0',
  'eval.every=0',
];

/** Presets of fine experts, with what keeps the small ones small: all that is not built of them is latent attention. */
const presets: Readonly<Record<string, readonly string[]>> = {
  'olmoe-1b-7b': [],
  'deepseek-moe-16b': ['model.moe.dExpert=12'],
  'deepseek-v3': ['model.mla=null', 'model.moe.firstDense=1', 'model.moe.balance.bias=1e-2'],
};

for (const [name, own] of Object.entries(presets))
  test(`presets: a model of the shape of ${name} is trained, and its loss falls`, async (t) => {
    const topology = loadTopology(name, { set: [...small, ...own] });
    t.deepEqual(refuseUnbuilt(topology), []);
    const { steps, parameters } = await trainTiny(topology, async () =>
      openReferenceDevice({ dtype: 'f32' }),
    );
    const losses = steps.map(({ loss }) => loss);
    t.log(losses.map((loss) => loss.toFixed(3)).join(' '));
    t.true((losses.at(-1) ?? Number.NaN) < (losses[0] ?? Number.NaN));
    const names = [...parameters.keys()];
    const has = (part: string): boolean => names.some((each) => each.includes(part));
    t.is(has('shared_experts'), name !== 'olmoe-1b-7b');
    t.is(has('model.layers.0.mlp.gate.'), name === 'olmoe-1b-7b', 'a first layer without experts');
    t.is(has('layers.1.mlp.gate.e_score_correction_bias'), name === 'deepseek-v3');
  });
