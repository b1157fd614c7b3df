import test from 'ava';
import { prng } from '@troupe/core';
import { openReferenceDevice } from '@troupe/kernels';
import { defaultRouter, dropless, type ModelConfig } from '@troupe/spec';
import { LocalModel } from './local-model.ts';
import { tinyBatch, tinyChoice, tinyConfig, type TinyChanges } from './testing/tiny-model.ts';

/** Displacement of a parameter along a direction of length 1. */
const STEP = 2e-5;
const TOLERANCE = 1e-6;

const balance = { auxLoss: 0.3, zLoss: 0.1, layers: 'each', scope: 'sequence', bias: 0, domain: 1 } as const;

const noisy = { ...defaultRouter, jitter: 0.1 } as const;

const models: Readonly<Record<string, TinyChanges>> = {
  'token choice, swiglu, grouped queries': {},
  'dense layers between MoE layers, shared experts, layer norm, gelu': {
    layers: 3,
    norm: { kind: 'layer', eps: 1e-5 },
    ffn: { activation: 'gelu', dFf: 10 },
    moe: { every: 2, sharedExperts: 2 },
  },
  'shared experts in every layer, swiglu, raw probabilities': {
    moe: { sharedExperts: 1, renormalise: false },
  },
  'query/key norm per head, tied head, relu, top 1': {
    qkNorm: 'head',
    tiedHead: true,
    ffn: { activation: 'relu', dFf: 10 },
    moe: { topK: 1 },
  },
  'query/key norm over the full width, global balance, tanh gelu': {
    qkNorm: 'full',
    heads: 4,
    kvHeads: 2,
    headDim: 2,
    ffn: { activation: 'gelu-tanh', dFf: 10 },
    moe: { topK: 3, balance: { ...balance, scope: 'global' } },
  },
  'global balance over the tokens of all layers together': {
    moe: { balance: { ...balance, scope: 'global', layers: 'pooled' } },
  },
  'forced skewed choices': { moe: { choice: 'skewed' } },
  'balance over two grains together': { moe: { balance: { ...balance, scope: 'domain', domain: 2 } } },
  'experts that drop, a jittered router, a second choice by its odds': {
    moe: { capacity: { ...dropless, train: 0.75, min: 1 }, router: { ...noisy, sampling: 'second' } },
  },
  'experts that drop the last, weights of what was chosen': {
    moe: { topK: 3, capacity: { ...dropless, train: 0.6, min: 1, drop: 'position', weights: 'chosen' } },
  },
  'experts that drop, sigmoid scores and a scale, weights of what was chosen': {
    moe: {
      capacity: { ...dropless, train: 0.6, min: 1, drop: 'probability', weights: 'chosen' },
      router: { ...defaultRouter, scores: 'sigmoid', scale: 2.5 },
    },
  },
  'experts that drop, one choice by its odds, beside shared experts': {
    moe: {
      topK: 1,
      sharedExperts: 1,
      capacity: { ...dropless, train: 0.75, min: 1 },
      router: { ...noisy, sampling: 'first' },
    },
  },
  'a norm of what experts add, layer norm': {
    norm: { kind: 'layer', eps: 1e-5 },
    moe: { norm: true },
  },
  'a norm of what experts add beside shared experts': { moe: { norm: true, sharedExperts: 1, topK: 1 } },
  'expert choice, groups of two sequences': { moe: tinyChoice(2) },
  'expert choice over all sequences, a norm, shared experts': {
    moe: tinyChoice(4, { experts: 6, topK: 1, norm: true, sharedExperts: 1 }),
  },
  'every expert chosen': { moe: { experts: 2 } },
  'sigmoid scores of groups of experts, a scale, shared experts': {
    moe: {
      experts: 6,
      topK: 2,
      sharedExperts: 1,
      router: { ...defaultRouter, scores: 'sigmoid', groups: 3, topGroups: 2, scale: 2.5 },
    },
  },
  'raw sigmoid scores, global balance': {
    moe: {
      renormalise: false,
      router: { ...defaultRouter, scores: 'sigmoid' },
      balance: { ...balance, scope: 'global' },
    },
  },
  'softmax scores of groups of experts': {
    moe: { experts: 6, router: { ...defaultRouter, groups: 3, topGroups: 2, scale: 0.5 } },
  },
  'encoder and decoder, experts in every other layer of both': {
    layers: 4,
    encoder: { layers: 2, seqLen: 5 },
    moe: { every: 2, topK: 1, balance: { ...balance, scope: 'global' } },
  },
  'encoder and decoder of unequal depth, layer norm, tied head, experts that drop': {
    layers: 3,
    encoder: { layers: 1, seqLen: 7 },
    norm: { kind: 'layer', eps: 1e-5 },
    tiedHead: true,
    ffn: { activation: 'relu', dFf: 10 },
    moe: { capacity: { ...dropless, train: 0.75, min: 1 } },
  },
  'encoder and decoder with biases by distance, a table for each': {
    layers: 3,
    positions: 't5',
    relative: { buckets: 6, maxDistance: 5 },
    encoder: { layers: 2, seqLen: 7 },
    moe: null,
  },
  'biases by distance of a decoder alone': {
    positions: 't5',
    relative: { buckets: 4, maxDistance: 4 },
    qkNorm: 'head',
    moe: null,
  },
  'a dense encoder and decoder': { layers: 2, encoder: { layers: 1, seqLen: 5 }, moe: null },
  'no experts': { moe: null, tiedHead: true },
};

/** Label smoothing of those that have it. */
const smoothed: Readonly<Record<string, number>> = { 'a dense encoder and decoder': 0.1 };

/** Held-out sequences are routed without noise, and drop by a factor of their own. */
const isWithoutNoise = ({ moe }: ModelConfig): boolean =>
  moe === null || (moe.capacity.train === 0 && moe.router.jitter === 0);

/** A direction of length 1 inside one tensor: random, or one axis. */
function directions(size: number, name: string): readonly Float64Array[] {
  const draws = prng({ seed: 11, purpose: `test/${name}` });
  const random = Float64Array.from({ length: size }, (_, i) => draws.uniform(i) - 0.5);
  const length = Math.sqrt(random.reduce((sum, each) => sum + each * each, 0));
  const axis = new Float64Array(size);
  axis[draws.integer(size, size)] = 1;
  return [random.map((each) => each / length), axis];
}

for (const [title, changes] of Object.entries(models)) {
  test(`gradients: equal finite differences: ${title}`, async (t) => {
    const config = tinyConfig(changes);
    const batch = tinyBatch(config);
    const device = openReferenceDevice();
    const smoothing = smoothed[title] ?? 0;
    const model = new LocalModel(device, { config, sequences: 4, grains: 2, smoothing });
    await model.initialise(3);
    // Norms that are 1 everywhere hide a forgotten weight.
    for (const unit of model.weights.layout.units.filter(({ id }) => id.includes('norm'))) {
      const draws = prng({ seed: 5, purpose: unit.id });
      const weights = model.weights.view(unit.id);
      const moved = Array.from(device.read(weights), (value, index) => value + draws.uniform(index) - 0.5);
      device.write(weights, moved);
    }
    const { gradients, total, loss } = await model.lossAndGradients(batch);
    // What is reported is the loss without smoothing.
    t.true(Math.abs((await model.forward(batch)).loss - loss) < 1e-12 || !isWithoutNoise(config));
    const gradientOf = new Map(
      model.weights.layout.units
        .flatMap((unit) => unit.parameters)
        .map(({ name }) => [name, device.read(gradients.parameter(name)).slice()]),
    );
    const trainsAlike = smoothing === 0 && isWithoutNoise(config);
    const lossOf = async () =>
      (await (trainsAlike ? model.forward(batch) : model.lossAndGradients(batch))).total;
    t.true(Math.abs((await lossOf()) - total) < 1e-12);
    let [largest, checked, nonZero] = [0, 0, 0];
    for (const { name, size } of model.weights.layout.units.flatMap((unit) => unit.parameters)) {
      const weights = model.weights.parameter(name);
      const start = device.read(weights).slice();
      for (const direction of directions(size, name)) {
        const totals: number[] = [];
        for (const sign of [1, -1]) {
          device.write(
            weights,
            direction.map((each, i) => start[i]! + sign * STEP * each),
          );
          totals.push(await lossOf());
        }
        device.write(weights, start);
        const slope = (totals[0]! - totals[1]!) / (2 * STEP);
        const gradient = [...(gradientOf.get(name) ?? [])].reduce(
          (sum, each, i) => sum + each * direction[i]!,
          0,
        );
        const difference = Math.abs(slope - gradient) / Math.max(1, Math.abs(gradient));
        if (difference > TOLERANCE) t.fail(`${name}: slope ${slope}, gradient ${gradient}`);
        largest = Math.max(largest, difference);
        checked += 1;
        nonZero += gradient === 0 ? 0 : 1;
      }
    }
    t.log(
      `largest difference ${largest.toExponential(1)} over ${checked} directions, ${nonZero} of them not zero`,
    );
    t.true(nonZero > checked / 2);
  });
}
