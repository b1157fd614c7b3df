import { readFile } from 'node:fs/promises';
import test from 'ava';
import { memoryStorage, type MemoryStorage } from '@troupe/sim';
import {
  CheckpointMismatchError,
  CheckpointUnsupportedError,
  configFromHuggingFace,
  configToHuggingFace,
  readHuggingFace,
} from './index.ts';

const fixture = new URL('../../../test/fixtures/switch/', import.meta.url);

/** A folder with the tiny Switch Transformer, whose config has `changes`. */
async function folderWith(changes: object = {}): Promise<MemoryStorage> {
  const storage = memoryStorage();
  await storage.makeFolder('hf');
  const json = JSON.parse(await readFile(new URL('config.json', fixture), 'utf8')) as object;
  const config = new TextEncoder().encode(JSON.stringify({ ...json, ...changes }));
  await storage.writeAtomic('hf/config.json', config);
  const weights = new Uint8Array(await readFile(new URL('model.safetensors', fixture)));
  await storage.writeAtomic('hf/model.safetensors', weights);
  return storage;
}

const read = (json: object) =>
  configFromHuggingFace('c', { model_type: 'switch_transformers', ...json }, undefined);

test('switch: two stacks with tables of positions, ReLU experts that take the first tokens, a tied head', async (t) => {
  const { config, kind, notes } = await readHuggingFace(await folderWith(), 'hf', { seqLen: 20 });
  t.is(kind, 'switch_transformers');
  t.like(config, {
    vocab: 64,
    layers: 4,
    encoder: { layers: 2, seqLen: 20 },
    seqLen: 20,
    positions: 't5',
    relative: { buckets: 8, maxDistance: 16 },
    headDim: 8,
    tiedHead: true,
    ffn: { activation: 'relu', dFf: 24 },
  });
  t.like(config.moe, {
    every: 2,
    experts: 4,
    topK: 1,
    dExpert: 24,
    capacity: { train: 1e-6, eval: 1e-6, min: 6, drop: 'position', weights: 'kept' },
  });
  t.like(config.moe?.balance, { auxLoss: 0.02, zLoss: 0.01, scope: 'sequence', layers: 'each' });
  t.deepEqual(notes, [
    'expert_capacity 6 is of a sequence: here of a grain, so train.grains should be train.batch',
    'padding is not routed here; Transformers gives it room at the experts and counts it in its losses',
  ]);
});

test('switch: every tensor has a place; of the last norm the weights have the factor before a tied head', async (t) => {
  const storage = await folderWith();
  const model = await readHuggingFace(storage, 'hf', { seqLen: 20 });
  t.is(model.parameters.length, 61);
  t.is(
    model.parameters.reduce((sum, { size }) => sum + size, 0),
    15_200,
  );
  // Theirs is near 1, ours a quarter: 1 / sqrt(16).
  const last = await model.read('model.norm.weight');
  const first = await model.read('model.encoder_norm.weight');
  const mean = (values: Float32Array): number => values.reduce((sum, each) => sum + each, 0) / values.length;
  t.true(Math.abs(mean(first) - 1) < 0.2 && Math.abs(mean(last) - 0.25) < 0.05);
  t.deepEqual(await model.read('model.norm.weight', { offset: 3, length: 2 }), last.slice(3, 5));
});

test('switch: a head of its own needs its tensor, and the last norm is as it is', async (t) => {
  const storage = await folderWith({ tie_word_embeddings: false });
  await t.throwsAsync(() => readHuggingFace(storage, 'hf'), {
    instanceOf: CheckpointMismatchError,
    message: /'lm_head\.weight' is missing/u,
  });
});

test('switch: absent keys are those of the class, and what we cannot express is refused by name', (t) => {
  const { config } = read({ num_sparse_encoder_layers: 6, num_sparse_decoder_layers: 6 });
  t.like(config, { layers: 24, dModel: 768, seqLen: 512, encoder: { layers: 12, seqLen: 512 } });
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ dense_act_fn: 'gelu_new' }, /dense_act_fn is "gelu_new"; only relu is readable/u],
    [{ router_bias: true }, /router_bias is true/u],
    [{ router_dtype: 'bfloat16' }, /router_dtype is "bfloat16"/u],
    [{ num_layers: 2, num_sparse_encoder_layers: 0 }, /num_sparse_encoder_layers is 0/u],
    [{ num_experts: 2 ** 20 }, /the model has \d+ tensors/u],
    [{ quantization_config: {} }, /quantization_config/u],
  ];
  for (const [json, message] of cases)
    t.throws(() => read({ num_sparse_encoder_layers: 6, num_sparse_decoder_layers: 6, ...json }), {
      instanceOf: CheckpointUnsupportedError,
      message,
    });
  t.throws(() => read({ num_sparse_decoder_layers: 6 }), { message: /num_sparse_encoder_layers is 3/u });
  t.throws(() => read({ num_sparse_encoder_layers: 12, num_sparse_decoder_layers: 6 }), {
    message: /num_sparse_decoder_layers is 6; in the encoder every layer has experts/u,
  });
});

test('switch: a deeper one shares its coefficients among its layers, and says what training does otherwise', (t) => {
  const { config, notes } = read({ num_sparse_encoder_layers: 6, num_sparse_decoder_layers: 6 });
  t.is(config.moe?.balance.auxLoss, 0.001 / 6);
  t.deepEqual(notes.slice(0, 2), [
    'dropout_rate 0.1 is not built; training goes without it',
    'router_jitter_noise 0.01 is not built; training goes without it',
  ]);
  t.regex(notes.at(-1) ?? '', /at its share of the coefficient/u);
});

test('switch: it is not written, and the reasons are named', async (t) => {
  const { config } = await readHuggingFace(await folderWith(), 'hf', { seqLen: 20 });
  t.throws(() => configToHuggingFace('out', config), {
    instanceOf: CheckpointUnsupportedError,
    message: /it has an encoder, positions is t5, not rotary/u,
  });
});
