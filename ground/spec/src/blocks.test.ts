import { dropless } from './capacity.ts';
import { NotBuiltError } from '@troupe/core';
import test from 'ava';
import {
  blockOf,
  blocksOf,
  builtBlock,
  defaultRouter,
  latentWidth,
  layerUnits,
  moeLayers,
  seqLenOf,
  projectionWeights,
  qkvWidths,
  scoreWidth,
  type Block,
  type ModelConfig,
} from './index.ts';

const config: ModelConfig = {
  vocab: 300,
  layers: 4,
  dModel: 8,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  mla: null,
  encoder: null,
  positions: 'rotary',
  relative: { buckets: 32, maxDistance: 128 },
  seqLen: 4,
  norm: { kind: 'rms', eps: 1e-5 },
  qkNorm: 'head',
  rope: { theta: 1e4 },
  tiedHead: false,
  init: { scale: 1, embedding: 1 },
  ffn: { activation: 'swiglu', dFf: 16 },
  moe: {
    every: 2,
    firstDense: 0,
    experts: 4,
    topK: 2,
    dExpert: 8,
    sharedExperts: 3,
    router: defaultRouter,
    capacity: dropless,
    norm: false,
    renormalise: true,
    choice: 'learned',
    balance: { auxLoss: 0, zLoss: 0, scope: 'sequence', layers: 'each', bias: 0, domain: 1 },
  },
};

test('blocks: a decoder-only model is one stream of causal blocks, every n-th with experts', (t) => {
  const blocks = blocksOf(config);
  t.deepEqual(
    blocks.map(({ index, stream, ffn }) => [index, stream, ffn.kind, ffn.hidden]),
    [
      [0, 'decoder', 'dense', 16],
      [1, 'decoder', 'moe', 8],
      [2, 'decoder', 'dense', 16],
      [3, 'decoder', 'moe', 8],
    ],
  );
  t.deepEqual(blocks[1]?.mixer, {
    scope: { kind: 'causal' },
    heads: 4,
    kvHeads: 2,
    headDim: 4,
    valueDim: 4,
    latent: null,
    qkNorm: 'head',
    positions: { kind: 'rotary', theta: 1e4, dim: 4 },
    scoreScale: 0.5,
  });
  t.like(blocks[1]?.ffn, { sharedHidden: 24 });
  t.deepEqual(moeLayers(config), [1, 3]);
  t.deepEqual(moeLayers({ ...config, moe: null }), []);
  t.throws(() => blockOf(config, 4), { code: 'TROUPE_INVARIANT' });
});

test('blocks: the first layers are dense where the model says so, whatever else has experts', (t) => {
  const { moe } = config;
  const layers = (every: number, firstDense: number): readonly number[] =>
    moeLayers({ ...config, moe: moe && { ...moe, every, firstDense } });
  t.deepEqual(layers(1, 1), [1, 2, 3]);
  t.deepEqual(layers(2, 2), [3]);
  t.deepEqual(layers(1, 4), []);
});

test('blocks: a latent mixer has its own widths, and nobody computes it', (t) => {
  const mla = { qRank: 6, kvRank: 5, nopeDim: 4, ropeDim: 2, valueDim: 3 };
  const latent: ModelConfig = { ...config, kvHeads: 4, headDim: 6, qkNorm: 'none', mla };
  const { mixer } = blockOf(latent, 0);
  t.deepEqual(qkvWidths(mixer), { q: 24, k: 24, v: 12, all: 60, out: 12 });
  t.is(latentWidth(mixer), 6 + 5 + 2);
  t.is(scoreWidth(mixer), 24 + 12);
  const matrices = layerUnits(latent, 0).filter(({ id }) => /(?:latent|up|out)$/u.test(id));
  t.is(
    projectionWeights(mixer, latent.dModel),
    matrices.reduce((sum, { size }) => sum + size, 0),
  );
  t.throws(() => builtBlock(blockOf(latent, 0)), {
    instanceOf: NotBuiltError,
    message: 'the latent mixer of block 0 is not built yet; use attention without latents',
  });
});

test('blocks: what is named and not built is refused by name', (t) => {
  const block = blockOf(config, 0);
  t.is(builtBlock(block), block);
  const planted = (mixer: Partial<Block['mixer']>): Block => ({
    ...block,
    mixer: { ...block.mixer, ...mixer },
  });
  t.throws(() => builtBlock(planted({ scope: { kind: 'windowed', window: 16 } })), {
    instanceOf: NotBuiltError,
    message: 'the windowed mixer of block 0 is not built yet; use causal attention',
  });
});

test('blocks: the first ones are an encoder, the others read what it made', (t) => {
  const both: ModelConfig = {
    ...config,
    layers: 6,
    encoder: { layers: 4, seqLen: 5 },
    positions: 'sinusoidal',
  };
  t.deepEqual(
    blocksOf(both).map(({ stream, mixer, cross, ffn }) => [
      stream,
      mixer.scope.kind,
      cross?.scope.kind ?? null,
      ffn.kind,
    ]),
    [
      ['encoder', 'bidirectional', null, 'dense'],
      ['encoder', 'bidirectional', null, 'moe'],
      ['encoder', 'bidirectional', null, 'dense'],
      ['encoder', 'bidirectional', null, 'moe'],
      ['decoder', 'causal', 'cross', 'dense'],
      ['decoder', 'causal', 'cross', 'moe'],
    ],
  );
  t.is(blockOf(both, 4).cross?.qkNorm, 'none');
  t.deepEqual(blockOf(both, 0).mixer.positions, { kind: 'none' });
  // Which ones have experts counts within a stack.
  t.deepEqual(moeLayers({ ...both, encoder: { layers: 3, seqLen: 5 } }), [1, 4]);
  t.deepEqual([seqLenOf(both, 3), seqLenOf(both, 4)], [5, both.seqLen]);
});
