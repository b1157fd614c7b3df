import { readFileSync } from 'node:fs';
import test from 'ava';
import * as fc from 'fast-check';
import {
  CheckpointUnsupportedError,
  configFromHuggingFace,
  configToHuggingFace,
  huggingFaceKinds,
  type HuggingFaceKind,
} from './index.ts';
import { huggingFaceClasses } from './hugging-face-class.ts';
import { qwen } from './testing/qwen-config.ts';

type Json = Readonly<Record<string, unknown>>;

/** Each class of Transformers with the value of every key, as it built itself from `{ "model_type": … }`. */
const { classes } = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/hugging_face_defaults.json', import.meta.url), 'utf8'),
) as { readonly classes: Readonly<Record<HuggingFaceKind, Json>> };

const read = (json: Json, seqLen?: number) => configFromHuggingFace('c', json, seqLen).config;

const without = (json: Json, ...names: readonly string[]): Json =>
  Object.fromEntries(Object.entries(json).filter(([name]) => !names.includes(name)));

/** Keys of the classes that decide no weight, no shape, no sum and no training of ours. */
const idle = [
  'architectures',
  'bos_token_id',
  'chunk_size_feed_forward',
  'dtype',
  'eos_token_id',
  'id2label',
  'is_encoder_decoder',
  'label2id',
  'model_type',
  'output_attentions',
  'output_hidden_states',
  'output_router_logits',
  'pad_token_id',
  'problem_type',
  'return_dict',
  'use_cache',
];

for (const kind of huggingFaceKinds) {
  test(`huggingFaceClasses: ${kind}: every key that decides something, with the value of Transformers`, (t) => {
    const { rope_parameters: rope, num_experts: experts, ...theirs } = classes[kind];
    const expected = {
      head_dim: null,
      ...(experts === undefined ? {} : { num_local_experts: experts }),
      ...theirs,
      rope_theta: (rope as Json)['rope_theta'],
    };
    const found = { ...huggingFaceClasses[kind].defaults };
    // Transformers applies what follows from other keys before it writes; the class itself has these.
    if (kind === 'olmoe') Object.assign(found, { num_key_value_heads: found['num_attention_heads'] });
    if (kind === 'qwen3_moe') Object.assign(found, { mlp_only_layers: [], sliding_window: null });
    t.deepEqual(found, without(expected, ...idle));
  });

  test(`configFromHuggingFace: ${kind}: an absent key has the value that Transformers gives it`, (t) => {
    const whole = classes[kind];
    const expected = read({ model_type: kind });
    t.deepEqual(read(whole), expected);
    for (const key of Object.keys(whole).filter((each) => each !== 'model_type'))
      t.deepEqual(read(without(whole, key)), expected, key);
  });
}

test('configFromHuggingFace: a Mixtral without rope_theta turns by 1,000,000', (t) => {
  const json = {
    model_type: 'mixtral',
    head_dim: 8,
    hidden_size: 32,
    intermediate_size: 48,
    max_position_embeddings: 64,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    num_experts_per_tok: 2,
    num_local_experts: 4,
    vocab_size: 300,
  };
  t.is(read(json).rope.theta, 1e6);
  t.is(read({ ...json, model_type: 'olmoe' }).rope.theta, 1e4);
  t.is(read({ ...json, num_key_value_heads: null }).kvHeads, 4);
  t.is(read(json).moe?.balance.auxLoss, 0.002);
});

test('configFromHuggingFace: rotary keys count in the order of Transformers', (t) => {
  const thetas: readonly (readonly [Json, number])[] = [
    [{ rope_theta: 5 }, 5],
    [{ rope_theta: 5, rope_parameters: { rope_theta: 7, rope_type: 'default' } }, 7],
    [{ rope_theta: 5, rope_parameters: {} }, 5],
    [{ rope_scaling: { type: 'default' } }, 1e6],
    [{ rope_scaling: { type: 'default' }, rope_parameters: { rope_theta: 3 } }, 1e6],
    [{ rope_scaling: { rope_theta: 9 }, rope_theta: 5, rope_parameters: { rope_theta: 3 } }, 9],
    [{ rope_scaling: null, rope_parameters: null }, 1e6],
  ];
  for (const [keys, theta] of thetas)
    t.is(read({ model_type: 'mixtral', ...keys }).rope.theta, theta, JSON.stringify(keys));
});

test('configFromHuggingFace: passes over keys that the class of the model does not have', (t) => {
  const foreign = { attention_bias: true, clip_qkv: 8, mlp_only_layers: [0], norm_topk_prob: 5 };
  t.deepEqual(read({ model_type: 'mixtral', ...foreign }), read({ model_type: 'mixtral' }));
});

test('configFromHuggingFace: refuses by key and value what we cannot express', (t) => {
  const refused: readonly (readonly [Json, RegExp])[] = [
    [
      { model_type: 'deepseek_v3' },
      /model_type is "deepseek_v3"; readable are mixtral, olmoe, qwen3_moe, switch_transformers/u,
    ],
    [{ model_type: 'toString' }, /model_type/u],
    [{ model_type: undefined }, /model_type is missing/u],
    [{ hidden_act: 'gelu' }, /hidden_act is "gelu"/u],
    [{ attention_bias: true }, /attention_bias is true/u],
    [{ model_type: 'olmoe', head_dim: null, clip_qkv: 8 }, /clip_qkv is 8/u],
    [{ model_type: 'olmoe', head_dim: 12 }, /head_dim is 12; heads of OLMoE together/u],
    [{ mlp_only_layers: [1] }, /mlp_only_layers is \[1\]/u],
    [{ mlp_only_layers: 5 }, /mlp_only_layers is 5/u],
    [{ rope_scaling: { type: 'yarn', factor: 4 } }, /rope_scaling is .*yarn/u],
    [{ rope_scaling: { rope_type: {} } }, /rope_scaling is/u],
    [{ rope_scaling: 5 }, /rope_scaling is 5; a map/u],
    [{ rope_parameters: { rope_type: 'linear', rope_theta: 1e4 } }, /rope_parameters is .*linear/u],
    [{ rope_parameters: { full_attention: { rope_theta: 1e4 } } }, /rope_parameters is .*full_attention/u],
    [{ rope_theta: 'x' }, /rope_theta is "x"/u],
    [{ rope_theta: null }, /rope_theta is null/u],
    [{ partial_rotary_factor: 0.5 }, /partial_rotary_factor is 0\.5/u],
    [{ use_sliding_window: true, sliding_window: 32 }, /sliding_window is 32/u],
    [
      { use_sliding_window: true, sliding_window: undefined, max_position_embeddings: 8192 },
      /sliding_window is missing; attention sees all 8192/u,
    ],
    [{ num_experts_per_tok: 1 }, /num_experts_per_tok is 1/u],
    [{ num_experts_per_tok: 7 }, /num_experts_per_tok is 7; there are 6 experts/u],
    [{ num_experts: 7 }, /num_experts is 7; num_local_experts is 6, and both name the same/u],
    [{ num_key_value_heads: 3 }, /num_key_value_heads is 3; it has to divide/u],
    [{ head_dim: 7 }, /head_dim is 7/u],
    [{ vocab_size: null }, /vocab_size is null; a whole number from 1/u],
    [{ vocab_size: 3e9 }, /vocab_size is 3000000000; a whole number/u],
    [{ hidden_size: 2.5 }, /hidden_size is 2\.5/u],
    [{ tie_word_embeddings: 'yes' }, /tie_word_embeddings is "yes"/u],
    [{ quantization_config: { bits: 4 } }, /quantization_config is .*quantised weights/u],
    [{ num_hidden_layers: 2_000_000 }, /num_hidden_layers is 2000000; with 6 experts.*at most 262144/u],
    [{ num_local_experts: 1e8 }, /with 100000000 experts a layer the model has 600000022 tensors/u],
  ];
  for (const [change, message] of refused) {
    const json = Object.fromEntries(
      Object.entries({ ...qwen, ...change }).filter(([, value]) => value !== undefined),
    );
    t.throws(() => read(json), {
      instanceOf: CheckpointUnsupportedError,
      message: new RegExp(
        message.source.replace('is missing;', 'is 4096 .absent, the default of Qwen3MoeConfig.;'),
        'u',
      ),
    });
  }
  const window = { use_sliding_window: true, sliding_window: 32 };
  t.is(read({ ...qwen, ...window }, 32).seqLen, 32);
});

test('configFromHuggingFace: what it asks of training and is not built is noted', (t) => {
  const json = { model_type: 'mixtral', attention_dropout: 0.1, router_jitter_noise: 0.01 };
  t.deepEqual(configFromHuggingFace('c', json).notes, [
    'attention_dropout 0.1 is not built; training goes without it',
    'router_jitter_noise 0.01 is not built; training goes without it',
  ]);
  t.deepEqual(configFromHuggingFace('c', qwen).notes, []);
});

test('configFromHuggingFace: any value of any key is read or refused by name', (t) => {
  const names = [
    ...new Set([...Object.keys(qwen), ...huggingFaceKinds.flatMap((kind) => Object.keys(classes[kind]))]),
  ];
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom(0, 1, 2, 4, 12, 2 ** 31, 1e300, null, true, [], {}, 'default', '__proto__'),
  );
  const keys = fc.dictionary(fc.constantFrom(...names, '__proto__'), value, { maxKeys: 4 });
  let refused = 0;
  fc.assert(
    fc.property(fc.constantFrom(...huggingFaceKinds), keys, (kind, change) => {
      try {
        const { config } = configFromHuggingFace('c', { ...qwen, model_type: kind, ...change });
        t.true(config.layers * (config.moe?.experts ?? 0) < 2 ** 18);
        t.is(configToHuggingFace('c', config).kind, kind);
      } catch (error) {
        refused++;
        if (!(error instanceof CheckpointUnsupportedError)) throw error;
        t.true(error.message.length < 500, error.message);
      }
    }),
    { numRuns: 2000 },
  );
  t.true(refused > 500 && refused < 2000, `${refused} of 2000 were refused`);
});
