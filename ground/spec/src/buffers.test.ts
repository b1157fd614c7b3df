import { dropless } from './capacity.ts';
import test from 'ava';
import {
  bufferRuns,
  defaultRouter,
  denseUnits,
  flatLayout,
  gateBiasId,
  optimizerKinds,
  parameterCounts,
  savedTensors,
  trainedRanges,
  type ModelConfig,
} from './index.ts';

const balance = { auxLoss: 0, zLoss: 0, scope: 'sequence', layers: 'each' } as const;

const model = (bias: number): ModelConfig => ({
  vocab: 300,
  layers: 3,
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
  moe: {
    every: 1,
    firstDense: 1,
    experts: 4,
    topK: 2,
    dExpert: 16,
    sharedExperts: 0,
    router: defaultRouter,
    capacity: dropless,
    norm: false,
    renormalise: true,
    choice: 'learned',
    balance: { ...balance, bias, domain: 1 },
  },
});

test('buffers: a router that is balanced without a loss has a bias an expert; without a rate there is none', (t) => {
  const biases = denseUnits(model(0.001)).filter(({ buffer }) => buffer !== null);
  t.deepEqual(
    biases.map(({ id, layer, size, buffer }) => [id, layer, size, buffer]),
    [1, 2].map((layer) => [gateBiasId(layer), layer, 4, { kind: 'bias', rate: 0.001 }]),
  );
  t.is(biases[0]?.parameters[0]?.name, 'model.layers.1.mlp.gate.e_score_correction_bias');
  t.true(denseUnits(model(0)).every(({ buffer }) => buffer === null));
  t.is(parameterCounts(model(0.001)).total - parameterCounts(model(0)).total, 2 * 4);
  t.is(parameterCounts(model(0.001)).activeMatmul, parameterCounts(model(0)).activeMatmul);
});

test('buffers: no optimizer keeps anything of them', (t) => {
  for (const kind of optimizerKinds) {
    const saved = savedTensors(model(0.001), kind);
    const found = saved.filter(({ name }) => name.endsWith('.e_score_correction_bias'));
    t.is(found.length, 2);
    for (const { state } of found) t.deepEqual(state, [null, null], kind);
    t.true(saved.filter(({ state: [first] }) => first === null).length === 2, kind);
  }
});

test('buffers: cut what lies around them into ranges that are trained, wherever a slice begins', (t) => {
  const flat = flatLayout(denseUnits(model(0.001)));
  const whole = { from: 0, to: flat.length };
  const runs = bufferRuns(flat, whole);
  t.is(runs.filter(({ buffer }) => buffer !== null).length, 2);
  t.is(runs.length, 5, 'what is trained between two of them is one run');
  t.deepEqual(
    runs.map(({ from }) => from),
    [0, ...runs.slice(0, -1).map(({ to }) => to)],
  );
  t.is(runs.at(-1)?.to, flat.length);
  const [, bias] = runs;
  t.is(bias!.to - bias!.from, 1024, 'padding goes with its unit');
  t.deepEqual(trainedRanges(flat, { from: bias!.from, to: bias!.to }), []);
  t.deepEqual(trainedRanges(flat, { from: bias!.to, to: bias!.to + 1024 }), [
    { from: bias!.to, to: bias!.to + 1024, buffer: null },
  ]);
  t.deepEqual(trainedRanges(flatLayout(denseUnits(model(0))), whole).length, 1);
});
