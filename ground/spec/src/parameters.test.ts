import { dropless } from './capacity.ts';
import test from 'ava';
import {
  defaultRouter,
  expertUnit,
  parameterCounts,
  type ExpertParameter,
  type MoeConfig,
  type ModelConfig,
} from './index.ts';

const moe: MoeConfig = {
  every: 1,
  firstDense: 0,
  experts: 4,
  topK: 2,
  dExpert: 16,
  sharedExperts: 0,
  router: defaultRouter,
  capacity: dropless,
  norm: false,
  renormalise: true,
  choice: 'learned',
  balance: { auxLoss: 0, zLoss: 0, scope: 'sequence', layers: 'each', bias: 0, domain: 1 },
};

const model = (expertParameters?: readonly ExpertParameter[]): ModelConfig => ({
  vocab: 300,
  layers: 2,
  dModel: 8,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  mla: null,
  encoder: null,
  positions: 'rotary',
  relative: { buckets: 32, maxDistance: 128 },
  seqLen: 4,
  norm: { kind: 'rms', eps: 1e-5 },
  qkNorm: 'none',
  rope: { theta: 1e4 },
  tiedHead: false,
  init: { scale: 0.5, embedding: 1 },
  ffn: { activation: 'swiglu', dFf: 16 },
  moe: expertParameters === undefined ? moe : { ...moe, expertParameters },
});

test('expert parameters: an own expert’s lie side by side, with the starts of the model where none is given', (t) => {
  const own = expertUnit(
    model([
      { name: 'up', shape: [16, 8] },
      { name: 'bias', shape: [16] },
      { name: 'scale', shape: [8], init: { kind: 'constant', value: 1 } },
    ]),
    1,
    3,
  );
  t.deepEqual(own.parameters, [
    {
      name: 'model.layers.1.mlp.experts.3.up',
      shape: [16, 8],
      size: 128,
      offset: 0,
      init: { kind: 'truncated-normal', std: Math.sqrt(0.5 / 8) },
      place: null,
    },
    {
      name: 'model.layers.1.mlp.experts.3.bias',
      shape: [16],
      size: 16,
      offset: 128,
      init: { kind: 'constant', value: 0 },
      place: null,
    },
    {
      name: 'model.layers.1.mlp.experts.3.scale',
      shape: [8],
      size: 8,
      offset: 144,
      init: { kind: 'constant', value: 1 },
      place: null,
    },
  ]);
  t.is(own.size, 152);
});

test('expert parameters: without an own expert gate, up and down; counts follow what there is', (t) => {
  t.deepEqual(
    expertUnit(model(), 0, 0).parameters.map(({ name }) => name.split('.').at(-2)),
    ['gate_proj', 'up_proj', 'down_proj'],
  );
  t.is(parameterCounts(model()).expert, 2 * 4 * 3 * 16 * 8);
  t.is(parameterCounts(model([{ name: 'w', shape: [8, 8] }])).expert, 2 * 4 * 64);
});
