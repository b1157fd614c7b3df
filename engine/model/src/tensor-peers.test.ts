import test, { type ExecutionContext } from 'ava';
import type { Device, Floats } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import type { ModelConfig, Parameter, TensorAxis } from '@troupe/spec';
import type { Batch } from './batch.ts';
import type { FlatWeights } from './flat-weights.ts';
import { LocalModel, type ExchangeShares, type LocalGradients } from './local-model.ts';
import { tensorShare } from './tensor-share.ts';
import { tinyBatch, tinyConfig, type TinyChanges } from './testing/tiny-model.ts';

/** Lets peers meet: each gets the shares of all once the last has come. */
function meeting(peers: number): (rank: number) => ExchangeShares {
  let arrived: (readonly Floats[])[] = [];
  let waiting: ((all: readonly (readonly Floats[])[]) => void)[] = [];
  return (rank) => (shares) =>
    new Promise((resolve) => {
      arrived[rank] = shares;
      waiting.push(resolve);
      if (waiting.length < peers) return;
      const [all, done] = [arrived, waiting];
      [arrived, waiting] = [[], []];
      for (const each of done) each(all);
    });
}

type Axis = Omit<TensorAxis, 'expertsSliced'> & Partial<TensorAxis> & { readonly smoothing?: number };

/** One model whose matrices lie on `tp` peers, which here share a device. */
class Peers {
  readonly models: readonly LocalModel[];

  constructor(device: Device, config: ModelConfig, { expertsSliced = true, smoothing = 0, ...axis }: Axis) {
    const exchangeOf = meeting(axis.tp);
    this.models = Array.from({ length: axis.tp }, (_, rank) => {
      const tensor = tensorShare({ ...axis, expertsSliced }, rank);
      return new LocalModel(device, {
        config,
        sequences: 4,
        grains: 2,
        tensor,
        smoothing,
        exchange: exchangeOf(rank),
      });
    });
  }

  async each<T>(run: (model: LocalModel) => Promise<T>): Promise<readonly T[]> {
    return await Promise.all(this.models.map(run));
  }
}

/** Adds what a peer has of every tensor to the whole tensors. */
function gather(
  device: Device,
  values: FlatWeights,
  whole: Map<string, Float64Array>,
  counts: (parameter: Parameter, id: string) => boolean,
): void {
  for (const { id, parameters } of values.layout.units) {
    for (const [index, parameter] of parameters.entries()) {
      if (!counts(parameter, id)) continue;
      const part = device.read(values.part(id, index) ?? values.view(id));
      const { name, shape, place } = parameter;
      const [rows = 1, columns = 1] = place?.shape ?? shape;
      const tensor = whole.get(name) ?? new Float64Array(rows * columns);
      whole.set(name, tensor);
      const width = place === null ? columns : place.columns.to - place.columns.from;
      part.forEach((value, at) => {
        const row = (place?.rows.from ?? 0) + Math.floor(at / width);
        const column = (place?.columns.from ?? 0) + (at % width);
        tensor[row * columns + column] = (tensor[row * columns + column] ?? 0) + value;
      });
    }
  }
}

/** Gradients of all peers together: of what is the same on all, the first one's. */
function gathered(
  device: Device,
  peers: Peers,
  results: readonly LocalGradients[],
): Map<string, Float64Array> {
  const whole = new Map<string, Float64Array>();
  const deals = peers.models[0]?.shape.tensor?.dealsGrains ?? false;
  results.forEach(({ gradients }, rank) => {
    const sharesOf = new Map(gradients.layout.units.map((unit) => [unit.id, unit]));
    gather(device, gradients, whole, (_, id) => {
      const unit = sharesOf.get(id);
      const same = unit?.segment === null && unit.peerGradient === 'whole';
      return rank === 0 || !same || (unit?.class === 'expert' && deals);
    });
  });
  return whole;
}

interface Run {
  readonly loss: number;
  readonly auxLoss: number;
  readonly gradients: Map<string, Float64Array>;
}

async function runOf(config: ModelConfig, axis: Axis, batch: Batch): Promise<Run> {
  const device = openReferenceDevice();
  const peers = new Peers(device, config, axis);
  await peers.each((model) => model.initialise(3));
  const [evaluated] = await peers.each((model) => model.forward(batch));
  const results = await peers.each((model) => model.lossAndGradients(batch));
  const [first] = results;
  if (first === undefined || evaluated?.loss !== first.loss)
    throw new Error('an evaluation has the same loss');
  return { loss: first.loss, auxLoss: first.auxLoss, gradients: gathered(device, peers, results) };
}

function alike(t: ExecutionContext, whole: Run, run: Run, most: number): void {
  t.true(Math.abs(run.loss / whole.loss - 1) <= most, `loss ${run.loss} for ${whole.loss}`);
  t.true(Math.abs(run.auxLoss - whole.auxLoss) <= most);
  t.deepEqual([...run.gradients.keys()].sort(), [...whole.gradients.keys()].sort());
  for (const [name, expected] of whole.gradients) {
    const found = run.gradients.get(name) ?? new Float64Array();
    t.is(found.length, expected.length, name);
    const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const apart = expected.reduce((max, value, at) => Math.max(max, Math.abs(value - (found[at] ?? 0))), 0);
    t.true(apart <= most * largest, `${name}: ${apart} apart, largest ${largest}`);
  }
}

function equal(t: ExecutionContext, one: Run, run: Run): void {
  t.is(run.loss, one.loss);
  t.is(run.auxLoss, one.auxLoss);
  for (const [name, expected] of one.gradients) {
    const differs = (run.gradients.get(name) ?? new Float64Array()).filter(
      (value, at) => value !== expected[at],
    );
    t.is(differs.length, 0, name);
  }
}

const wide = { heads: 8, kvHeads: 4, headDim: 2, vocab: 37 } satisfies TinyChanges;
const models: Readonly<Record<string, TinyChanges>> = {
  dense: { ...wide, moe: null },
  'dense, tied head': { ...wide, moe: null, tiedHead: true },
  'experts in every other layer': { ...wide, moe: { every: 2, dExpert: 6 } },
  'shared experts': { ...wide, moe: { sharedExperts: 1, dExpert: 8 } },
  'a norm of what experts add': {
    ...wide,
    norm: { kind: 'layer', eps: 1e-5 },
    moe: { norm: true, sharedExperts: 1, dExpert: 8 },
  },
  'an encoder, experts in every other layer': {
    ...wide,
    layers: 4,
    encoder: { layers: 2, seqLen: 5 },
    moe: { every: 2, dExpert: 8 },
  },
  'norms of heads': { ...wide, qkNorm: 'head', moe: { sharedExperts: 1 } },
  'norms over the width': { ...wide, qkNorm: 'full', norm: { kind: 'layer', eps: 1e-5 }, moe: {} },
};
const axes: readonly Axis[] = [
  { tp: 2, segments: 1 },
  { tp: 4, segments: 1 },
  { tp: 2, segments: 1, expertsSliced: false },
];

for (const [title, changes] of Object.entries(models)) {
  test(`tensor peers: losses and gradients are those of whole matrices, ${title}`, async (t) => {
    const config = tinyConfig(changes);
    const batch = tinyBatch(config);
    const whole = await runOf(config, { tp: 1, segments: 1 }, batch);
    for (const axis of axes) alike(t, whole, await runOf(config, axis, batch), 1e-5);
  });

  test(`tensor peers: segments make every number of peers equal, ${title}`, async (t) => {
    const config = tinyConfig(changes);
    const batch = tinyBatch(config);
    const one = await runOf(config, { tp: 1, segments: 4 }, batch);
    for (const tp of [2, 4])
      for (const expertsSliced of [true, false])
        equal(t, one, await runOf(config, { tp, segments: 4, expertsSliced }, batch));
  });
}

test('tensor peers: a smoothed loss', async (t) => {
  const config = tinyConfig({ ...wide, moe: null, tiedHead: true });
  const batch = tinyBatch(config);
  const smoothing = 0.2;
  const whole = await runOf(config, { tp: 1, segments: 1, smoothing }, batch);
  alike(t, whole, await runOf(config, { tp: 2, segments: 1, smoothing }, batch), 1e-5);
  const one = await runOf(config, { tp: 1, segments: 4, smoothing }, batch);
  alike(t, whole, one, 1e-5);
  for (const tp of [2, 4]) equal(t, one, await runOf(config, { tp, segments: 4, smoothing }, batch));
});

test('tensor peers: fewer key/value heads than peers', async (t) => {
  for (const qkNorm of ['none', 'head'] as const) {
    const config = tinyConfig({ ...wide, kvHeads: 2, qkNorm, moe: { sharedExperts: 1, dExpert: 9 } });
    const batch = tinyBatch(config);
    const whole = await runOf(config, { tp: 1, segments: 1 }, batch);
    for (const tp of [4, 8]) alike(t, whole, await runOf(config, { tp, segments: 1 }, batch), 1e-5);
  }
});
