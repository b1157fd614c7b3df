import { readFile } from 'node:fs/promises';
import test from 'ava';
import { memoryStorage, type MemoryStorage } from '@troupe/sim';
import { defaultRouter, dropless, type ModelConfig } from '@troupe/spec';
import {
  CheckpointFormatError,
  CheckpointMismatchError,
  CheckpointUnsupportedError,
  configFromHuggingFace,
  modelParameters,
  openSafetensors,
  readHuggingFace,
  SafetensorsWriter,
  writeHuggingFace,
  type SafetensorsDtype,
} from './index.ts';
import { bytesOf } from './safetensors.ts';
import { qwen } from './testing/qwen-config.ts';

const fixtures = new URL('../../../test/fixtures/', import.meta.url);
const kinds = ['mixtral', 'olmoe'] as const;

async function folderOf(kind: (typeof kinds)[number]): Promise<MemoryStorage> {
  const storage = memoryStorage();
  await storage.makeFolder('hf');
  for (const name of ['config.json', 'model.safetensors']) {
    await storage.writeAtomic(
      `hf/${name}`,
      new Uint8Array(await readFile(new URL(`${kind}/${name}`, fixtures))),
    );
  }
  return storage;
}

type Json = Record<string, unknown>;

async function readJson(storage: MemoryStorage, path: string): Promise<Json> {
  return JSON.parse(new TextDecoder().decode(await storage.read(path))) as Json;
}

const writeJson = (storage: MemoryStorage, path: string, value: unknown): Promise<void> =>
  storage.writeAtomic(path, new TextEncoder().encode(JSON.stringify(value)));

interface Raw {
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
  readonly dtype?: SafetensorsDtype;
}

async function rawTensors(storage: MemoryStorage, path: string): Promise<Map<string, Raw>> {
  const file = await openSafetensors(storage, path);
  const tensors = new Map<string, Raw>();
  for (const [name, { shape, offsetBytes: offset, lengthBytes }] of file.header.tensors) {
    tensors.set(name, { shape, bytes: await storage.read(path, { offset, lengthBytes }) });
  }
  return tensors;
}

async function writeRaw(
  storage: MemoryStorage,
  path: string,
  tensors: ReadonlyMap<string, Raw>,
): Promise<void> {
  const header = [...tensors].map(([name, { shape, dtype }]) => ({
    name,
    shape,
    dtype: dtype ?? ('F32' as const),
  }));
  const writer = await SafetensorsWriter.create(storage, path, header);
  for (const { bytes } of tensors.values()) await writer.append(bytes);
  await writer.commit();
}

const sorted = (tensors: ReadonlyMap<string, Raw>): ReadonlyMap<string, Raw> =>
  new Map([...tensors].sort(([a], [b]) => (a < b ? -1 : 1)));

const mixtralMatrix: Readonly<Record<string, string>> = { w1: 'gate_proj', w3: 'up_proj', w2: 'down_proj' };

/** The same map as the README of the fixtures gives in words. */
const ourName = (key: string): string =>
  key
    .replace('block_sparse_moe', 'mlp')
    .replace(
      /(experts\.\d+)\.(w\d)\./u,
      (_, expert: string, matrix: string) => `${expert}.${mixtralMatrix[matrix]}.`,
    );

const common = {
  vocab: 64,
  layers: 2,
  seqLen: 64,
  tiedHead: false,
  init: { scale: 1, embedding: 0.02 },
};

const configs: Readonly<Record<(typeof kinds)[number], ModelConfig>> = {
  mixtral: {
    ...common,
    dModel: 32,
    heads: 4,
    kvHeads: 2,
    headDim: 8,
    mla: null,
    encoder: null,
    positions: 'rotary',
    relative: { buckets: 32, maxDistance: 128 },
    norm: { kind: 'rms', eps: 1e-5 },
    qkNorm: 'none',
    rope: { theta: 1e6 },
    ffn: { activation: 'swiglu', dFf: 16 },
    moe: {
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
      balance: { auxLoss: 0.04, zLoss: 0, scope: 'global', layers: 'pooled', bias: 0, domain: 1 },
    },
  },
  olmoe: {
    ...common,
    dModel: 24,
    heads: 3,
    kvHeads: 3,
    headDim: 8,
    mla: null,
    encoder: null,
    positions: 'rotary',
    relative: { buckets: 32, maxDistance: 128 },
    norm: { kind: 'rms', eps: 1e-5 },
    qkNorm: 'full',
    rope: { theta: 10000 },
    ffn: { activation: 'swiglu', dFf: 8 },
    moe: {
      every: 1,
      firstDense: 0,
      experts: 16,
      topK: 4,
      dExpert: 8,
      sharedExperts: 0,
      router: defaultRouter,
      capacity: dropless,
      norm: false,
      renormalise: false,
      choice: 'learned',
      balance: { auxLoss: 0.04, zLoss: 0, scope: 'global', layers: 'pooled', bias: 0, domain: 1 },
    },
  },
};

for (const kind of kinds) {
  test(`readHuggingFace: ${kind}: config and every tensor under our name, none left over`, async (t) => {
    const storage = await folderOf(kind);
    const model = await readHuggingFace(storage, 'hf');
    t.deepEqual(model.config, configs[kind]);
    t.is(model.layout, 'per-expert');
    const raw = await rawTensors(storage, 'hf/model.safetensors');
    const byOurName = new Map([...raw].map(([key, tensor]) => [ourName(key), tensor]));
    t.deepEqual(model.parameters.map(({ name }) => name).sort(), [...byOurName.keys()].sort());
    for (const { name, shape } of model.parameters) {
      t.deepEqual(shape, byOurName.get(name)?.shape, name);
      t.deepEqual(bytesOf(await model.read(name)), byOurName.get(name)?.bytes, name);
    }
    t.is(await model.tokenizer(), null);
  });

  test(`readHuggingFace: ${kind}: norms of the tensors are those that PyTorch saw`, async (t) => {
    const model = await readHuggingFace(await folderOf(kind), 'hf');
    const expected = JSON.parse(await readFile(new URL(`${kind}/expected.json`, fixtures), 'utf8')) as {
      readonly norms: Readonly<Record<string, { readonly initial: number }>>;
      readonly parameters: number;
    };
    t.is(
      model.parameters.reduce((sum, { size }) => sum + size, 0),
      expected.parameters,
    );
    let worst = 0;
    for (const [key, { initial }] of Object.entries(expected.norms)) {
      const values = await model.read(ourName(key));
      const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
      worst = Math.max(worst, Math.abs(norm / initial - 1));
    }
    t.log(`${Object.keys(expected.norms).length} norms, largest relative difference ${worst}`);
    t.true(worst < 1e-6);
  });

  test(`readHuggingFace: ${kind}: our reader takes all tensors of a file from PyTorch`, async (t) => {
    const storage = memoryStorage();
    const bytes = await readFile(new URL(`${kind}/expected.safetensors`, fixtures));
    await storage.writeAtomic('e', new Uint8Array(bytes));
    const file = await openSafetensors(storage, 'e');
    t.is(file.tensor('logits_f64').dtype, 'F64');
    t.is(file.tensor('input_ids').dtype, 'I32');
  });

  test(`writeHuggingFace: ${kind}: comes back with the same names, config and bits`, async (t) => {
    const storage = await folderOf(kind);
    const model = await readHuggingFace(storage, 'hf');
    const json = new TextEncoder().encode('{"added_tokens":[{"id":7,"content":"<end>"}]}');
    const tokenizer = { json, endOfText: 7 };
    const written = await writeHuggingFace(storage, 'out', model.config, (name) => model.read(name), {
      tokenizer,
    });
    t.deepEqual(written, { kind, notes: [] });
    t.deepEqual(await storage.list('out'), [
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const ends = { bos_token_id: null, eos_token_id: 7, pad_token_id: null };
    t.like(await readJson(storage, 'out/config.json'), ends);
    t.like(await readJson(storage, 'out/generation_config.json'), ends);
    t.like(await readJson(storage, 'out/tokenizer_config.json'), {
      bos_token: null,
      eos_token: '<end>',
      pad_token: null,
      tokenizer_class: 'PreTrainedTokenizerFast',
    });
    const [before, after] = [
      await rawTensors(storage, 'hf/model.safetensors'),
      await rawTensors(storage, 'out/model.safetensors'),
    ];
    t.deepEqual(sorted(after), sorted(before));
    const [given, found] = [
      await readJson(storage, 'hf/config.json'),
      await readJson(storage, 'out/config.json'),
    ];
    const same = Object.keys(given).filter(
      (key) => given[key] !== null && key in found && !key.endsWith('_token_id'),
    );
    t.true(same.length > 17);
    for (const key of same) t.deepEqual(found[key], given[key], key);
    const again = await readHuggingFace(storage, 'out');
    t.deepEqual(again.config, model.config);
    t.deepEqual(await again.tokenizer(), json);
    await t.throwsAsync(() => writeHuggingFace(storage, 'out', model.config, (name) => model.read(name)), {
      code: 'TROUPE_STORAGE_FAILED',
    });
  });

  test(`readHuggingFace: ${kind}: fused experts in several files give the same parameters`, async (t) => {
    const storage = await folderOf(kind);
    const model = await readHuggingFace(storage, 'hf');
    const options = { layout: 'fused', maxFileBytes: 20_000 } as const;
    await writeHuggingFace(storage, 'out', model.config, (name) => model.read(name), options);
    t.true((await storage.list('out')).includes('model.safetensors.index.json'));
    const fused = await readHuggingFace(storage, 'out');
    t.is(fused.layout, 'fused');
    for (const { name } of model.parameters)
      t.deepEqual(await fused.read(name), await model.read(name), name);
  });
}

/** Fuses by hand: the gate rows of an expert, then its up rows; [E, 2F, D] and [E, D, F]. */
async function fuseByHand(storage: MemoryStorage): Promise<Map<string, Raw>> {
  const raw = await rawTensors(storage, 'hf/model.safetensors');
  const fused = new Map([...raw].filter(([key]) => !key.includes('.experts.')));
  const concat = (keys: readonly string[]): Uint8Array =>
    new Uint8Array(Buffer.concat(keys.map((key) => raw.get(key)?.bytes ?? new Uint8Array())));
  for (const layer of [0, 1]) {
    const prefix = `model.layers.${layer}.mlp.experts`;
    const experts = Array.from({ length: 16 }, (_, expert) => `${prefix}.${expert}`);
    const inputs = experts.flatMap((expert) => [`${expert}.gate_proj.weight`, `${expert}.up_proj.weight`]);
    fused.set(`${prefix}.gate_up_proj`, { shape: [16, 16, 24], bytes: concat(inputs) });
    const outputs = experts.map((expert) => `${expert}.down_proj.weight`);
    fused.set(`${prefix}.down_proj`, { shape: [16, 24, 8], bytes: concat(outputs) });
  }
  return fused;
}

test('readHuggingFace: detects the fused layout by its keys; a range reads alone', async (t) => {
  const storage = await folderOf('olmoe');
  const model = await readHuggingFace(storage, 'hf');
  const fused = await fuseByHand(storage);
  await writeRaw(storage, 'hf/model.safetensors', fused);
  const other = await readHuggingFace(storage, 'hf');
  t.is(other.layout, 'fused');
  const original = await folderOf('olmoe');
  const reference = await readHuggingFace(original, 'hf');
  for (const { name } of model.parameters)
    t.deepEqual(await other.read(name), await reference.read(name), name);
  const name = 'model.layers.1.mlp.experts.7.up_proj.weight';
  const part = await other.read(name, { offset: 5, length: 9 });
  t.deepEqual(part, (await reference.read(name)).slice(5, 14));
  const exported = await rawTensors(storage, 'hf/model.safetensors');
  await writeHuggingFace(storage, 'out', other.config, (each) => other.read(each), { layout: 'fused' });
  t.deepEqual(sorted(await rawTensors(storage, 'out/model.safetensors')), sorted(exported));
});

test('readHuggingFace: missing, extra, double and misshapen tensors are each named', async (t) => {
  const storage = await folderOf('olmoe');
  const raw = await rawTensors(storage, 'hf/model.safetensors');
  const name = 'model.layers.1.mlp.experts.3.up_proj.weight';
  const problems = async (change: (tensors: Map<string, Raw>) => void): Promise<unknown> => {
    const tensors = new Map(raw);
    change(tensors);
    await writeRaw(storage, 'hf/model.safetensors', tensors);
    const error = await t.throwsAsync(() => readHuggingFace(storage, 'hf'), {
      instanceOf: CheckpointMismatchError,
    });
    return error?.details['problems'];
  };
  const tensor = raw.get(name);
  if (tensor === undefined) {
    t.fail();
    return;
  }
  t.deepEqual(await problems((tensors) => tensors.delete(name)), [`tensor '${name}' is missing`]);
  t.deepEqual(await problems((tensors) => tensors.set('model.layers.2.x', tensor)), [
    "tensor 'model.layers.2.x' is extra",
  ]);
  t.deepEqual(await problems((tensors) => tensors.set(name, { ...tensor, shape: [24, 8] })), [
    `tensor '${name}' has shape [24,8], config.json makes it [8,24]`,
  ]);
  const gate = 'model.layers.0.block_sparse_moe.gate.weight';
  const router = raw.get('model.layers.0.mlp.gate.weight') ?? tensor;
  t.deepEqual(await problems((tensors) => tensors.set(gate, router)), [
    `tensor 'model.layers.0.mlp.gate.weight' is there as 'model.layers.0.mlp.gate.weight' and as '${gate}'`,
  ]);
  const fused = await fuseByHand(await folderOf('olmoe'));
  const double = await problems((tensors) => {
    for (const [key, each] of fused) tensors.set(key, each);
  });
  t.is((double as readonly string[]).length, 2 * 16 * 3);
});

test('readHuggingFace: tensors that are no weights are named before one is read', async (t) => {
  const storage = await folderOf('mixtral');
  const raw = await rawTensors(storage, 'hf/model.safetensors');
  const name = 'model.norm.weight';
  const { shape } = raw.get(name) ?? { shape: [] };
  raw.set(name, { shape, dtype: 'F8_E4M3FNUZ', bytes: new Uint8Array(shape[0] ?? 0) });
  await writeRaw(storage, 'hf/model.safetensors', raw);
  await t.throwsAsync(() => readHuggingFace(storage, 'hf'), {
    instanceOf: CheckpointMismatchError,
    message: /tensor 'model\.norm\.weight' is F8_E4M3FNUZ; weights are F32, BF16, F16/u,
  });
});

test('readHuggingFace: a folder whose JSON is none, or too deep, or a list is refused with the file', async (t) => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['{', /^hf\/config\.json: is no JSON/u],
    ['[]', /^hf\/config\.json: is no JSON object/u],
    ['['.repeat(20_000), /^hf\/config\.json: has JSON nested more than 64 deep/u],
    ['"\\ud800"', /^hf\/config\.json: has half a surrogate pair/u],
  ];
  for (const [text, message] of refused) {
    const storage = await folderOf('mixtral');
    await storage.writeAtomic('hf/config.json', new TextEncoder().encode(text));
    await t.throwsAsync(() => readHuggingFace(storage, 'hf'), { instanceOf: CheckpointFormatError, message });
  }
});

test('readHuggingFace: BF16 widens exactly, and old rotary buffers are passed over', async (t) => {
  const storage = await folderOf('mixtral');
  const raw = await rawTensors(storage, 'hf/model.safetensors');
  const half = new Map<string, Raw>();
  for (const [key, { shape, bytes }] of raw) {
    const high = Uint16Array.from(new Uint16Array(bytes.buffer).filter((_, i) => i % 2 === 1));
    half.set(key, { shape, dtype: 'BF16', bytes: new Uint8Array(high.buffer) });
  }
  half.set('model.layers.0.self_attn.rotary_emb.inv_freq', { shape: [1], bytes: new Uint8Array(4) });
  await writeRaw(storage, 'hf/model.safetensors', half);
  const model = await readHuggingFace(storage, 'hf');
  const values = await model.read('model.norm.weight');
  const exact = new Uint32Array((raw.get('model.norm.weight')?.bytes ?? new Uint8Array()).slice().buffer);
  t.deepEqual(
    new Uint32Array(values.buffer),
    Uint32Array.from(exact, (bits) => bits & 0xffff0000),
  );
});

test('readHuggingFace: an index that disagrees with its files is refused with the tensor', async (t) => {
  const storage = await folderOf('mixtral');
  const model = await readHuggingFace(storage, 'hf');
  await writeHuggingFace(storage, 'out', model.config, (name) => model.read(name), { maxFileBytes: 40_000 });
  const path = 'out/model.safetensors.index.json';
  const index = (await readJson(storage, path)) as { weight_map: Record<string, string> };
  const name = 'model.norm.weight';
  const { [name]: place, ...rest } = index.weight_map;
  const refused = { instanceOf: CheckpointFormatError, message: /model\.norm\.weight/u };
  await writeJson(storage, path, { weight_map: rest });
  await t.throwsAsync(() => readHuggingFace(storage, 'out'), refused);
  await writeJson(storage, path, { weight_map: { ...index.weight_map, 'model.norm.weight2': place } });
  await t.throwsAsync(() => readHuggingFace(storage, 'out'), refused);
  await writeJson(storage, path, { weight_map: { ...index.weight_map, [name]: '../hf/model.safetensors' } });
  await t.throwsAsync(() => readHuggingFace(storage, 'out'), { message: /no file name/u });
  await writeJson(storage, path, { weight_map: { ...index.weight_map, [name]: '..' } });
  await t.throwsAsync(() => readHuggingFace(storage, 'out'), { message: /'\.\.' is no file name/u });
  for (const map of [null, [], 'x', { [name]: 5 }, undefined]) {
    await writeJson(storage, path, { weight_map: map });
    await t.throwsAsync(() => readHuggingFace(storage, 'out'), { message: /has no weight_map/u });
  }
  await writeJson(storage, path, index);
  await storage.remove(`out/${place}`);
  await t.throwsAsync(() => readHuggingFace(storage, 'out'), { code: 'TROUPE_STORAGE_MISSING' });
});

test('readHuggingFace: a tied head may be stored twice, but only with equal bits', async (t) => {
  const storage = await folderOf('olmoe');
  await writeJson(storage, 'hf/config.json', {
    ...(await readJson(storage, 'hf/config.json')),
    tie_word_embeddings: true,
  });
  await t.throwsAsync(() => readHuggingFace(storage, 'hf'), { message: /lm_head\.weight' differs/u });
  const raw = await rawTensors(storage, 'hf/model.safetensors');
  const embedding = raw.get('model.embed_tokens.weight');
  if (embedding === undefined) return;
  await writeRaw(storage, 'hf/model.safetensors', raw.set('lm_head.weight', embedding));
  const model = await readHuggingFace(storage, 'hf');
  t.true(model.config.tiedHead);
  t.false(model.parameters.some(({ name }) => name === 'lm_head.weight'));
});

test('Hugging Face: Qwen3-MoE with dense layers between goes out and comes back', async (t) => {
  const { config } = configFromHuggingFace('config.json', qwen);
  t.like(config, {
    headDim: 12,
    qkNorm: 'head',
    rope: { theta: 1e6 },
    ffn: { dFf: 40 },
    norm: { eps: 1e-6 },
  });
  t.like(config.moe, { every: 2, dExpert: 12, experts: 6, topK: 2, renormalise: true });
  const storage = memoryStorage();
  const parameters = modelParameters(config);
  const source = async (name: string) => {
    const index = parameters.findIndex((each) => each.name === name);
    return new Float32Array(parameters[index]?.size ?? 0).map((_, i) => 10_000 * index + i);
  };
  t.is((await writeHuggingFace(storage, 'out', config, source)).kind, 'qwen3_moe');
  const model = await readHuggingFace(storage, 'out');
  t.deepEqual(model.config, config);
  for (const { name } of model.parameters) t.deepEqual(await model.read(name), await source(name), name);
});

test('writeHuggingFace: numbers that Transformers takes as floats alone are written as floats', async (t) => {
  const { config } = configFromHuggingFace('config.json', qwen);
  const { moe } = config;
  if (moe === null) return;
  const whole = {
    ...config,
    norm: { kind: 'rms', eps: 1 },
    init: { scale: 1, embedding: 1 },
    moe: { ...moe, balance: { ...moe.balance, auxLoss: 0 } },
  } as const;
  const sizes = new Map(modelParameters(config).map(({ name, size }) => [name, size]));
  const storage = memoryStorage();
  await writeHuggingFace(storage, 'out', whole, async (name) => new Float32Array(sizes.get(name) ?? 0));
  const text = new TextDecoder().decode(await storage.read('out/config.json'));
  for (const line of ['"initializer_range": 1.0,', '"rms_norm_eps": 1.0,', '"router_aux_loss_coef": 0.0,'])
    t.true(text.includes(line), text);
  t.is(text.match(/"rope_theta": 1000000\.0\b/gu)?.length, 2);
  t.true(text.includes('"hidden_size": 24,'));
  t.deepEqual((await readHuggingFace(storage, 'out')).config, whole);
});

test('writeHuggingFace: refuses what no architecture has, and notes what config.json cannot say', async (t) => {
  const storage = memoryStorage();
  const source = async () => new Float32Array();
  const { mixtral } = configs;
  const { moe } = mixtral;
  if (moe === null) return;
  const refused: readonly (readonly [ModelConfig, RegExp])[] = [
    [{ ...mixtral, moe: null }, /as MixtralForCausalLM it has no experts/u],
    [{ ...mixtral, norm: { kind: 'layer', eps: 1e-5 } }, /norm is layer, not rms/u],
    [{ ...mixtral, ffn: { activation: 'gelu', dFf: 16 } }, /ffn is gelu/u],
    [{ ...mixtral, moe: { ...moe, sharedExperts: 1 } }, /sharedExperts is 1/u],
    [
      { ...mixtral, moe: { ...moe, renormalise: false } },
      /as MixtralForCausalLM renormalise is false, not true;/u,
    ],
    [{ ...mixtral, qkNorm: 'full', headDim: 4 }, /as OlmoeForCausalLM heads · headDim is 16, not dModel 32/u],
    [{ ...mixtral, moe: { ...moe, every: 2 } }, /as MixtralForCausalLM every is 2, not 1/u],
    [
      { ...mixtral, mla: { qRank: 8, kvRank: 4, nopeDim: 6, ropeDim: 2, valueDim: 8 } },
      /as MixtralForCausalLM attention goes through latents \(mla\)/u,
    ],
    [{ ...mixtral, moe: { ...moe, firstDense: 1 } }, /as MixtralForCausalLM firstDense is 1, not 0/u],
    [
      { ...mixtral, moe: { ...moe, router: { ...defaultRouter, groups: 2, topGroups: 2, scale: 2.5 } } },
      /router\.groups is 2, not 1, router\.topGroups is 2, not 1, router\.scale is 2\.5, not 1;/u,
    ],
    [
      { ...mixtral, moe: { ...moe, router: { ...defaultRouter, scores: 'sigmoid' } } },
      /as MixtralForCausalLM router\.scores is sigmoid, not softmax;/u,
    ],
    [
      { ...mixtral, moe: { ...moe, router: { ...defaultRouter, kind: 'expert-choice' } } },
      /as MixtralForCausalLM router\.kind is expert-choice, not token-choice;/u,
    ],
    [
      { ...mixtral, moe: { ...moe, capacity: { ...dropless, train: 1.25 } } },
      /as MixtralForCausalLM capacity\.train is 1\.25, not 0;/u,
    ],
    [
      { ...mixtral, moe: { ...moe, balance: { ...moe.balance, bias: 0.001 } } },
      /as MixtralForCausalLM balance\.bias is 0\.001, not 0;/u,
    ],
    [
      { ...mixtral, moe: { ...moe, choice: 'balanced' } },
      /as MixtralForCausalLM router\.choice is balanced, not learned;/u,
    ],
    [
      { ...mixtral, moe: { ...moe, expertParameters: [{ name: 'up', shape: [16, 32] }] } },
      /as MixtralForCausalLM experts have parameters of their own \(up\);/u,
    ],
  ];
  for (const [config, message] of refused) {
    await t.throwsAsync(() => writeHuggingFace(storage, 'out', config, source), {
      instanceOf: CheckpointUnsupportedError,
      message,
    });
  }
  await t.throwsAsync(() => writeHuggingFace(storage, 'out', mixtral, source, { as: 'olmoe' }), {
    instanceOf: CheckpointUnsupportedError,
    message: 'out: the model cannot be written: as OlmoeForCausalLM qkNorm is none, not full',
  });
  const tokenizer = { json: new TextEncoder().encode('{"added_tokens":[null,{"id":8}]}'), endOfText: 8 };
  await t.throwsAsync(() => writeHuggingFace(storage, 'out', mixtral, source, { tokenizer }), {
    instanceOf: CheckpointFormatError,
    message: 'out/tokenizer.json: has no added token 8, the end of text',
  });
  const balance = {
    auxLoss: 0.01,
    zLoss: 0.001,
    scope: 'sequence',
    layers: 'each',
    bias: 0,
    domain: 1,
  } as const;
  const { notes } = await writeHuggingFace(
    await folderOf('mixtral'),
    'out',
    { ...mixtral, moe: { ...moe, balance } },
    (name) =>
      folderOf('mixtral')
        .then((folder) => readHuggingFace(folder, 'hf'))
        .then((model) => model.read(name)),
  );
  t.is(notes.length, 2);
  t.deepEqual(storage.paths, []);
});
