import { defaultRouter, streamOf, type ModelConfig, type MoeConfig } from '@troupe/spec';
import { ConfigKeys, type Json } from './config-keys.ts';
import type { HuggingFaceClass } from './hugging-face-class.ts';

/** Switch Transformers, which are read and never written. */
export const switchKind = 'switch_transformers';

/** As in `huggingFaceClasses`. */
const switchClass: HuggingFaceClass = {
  model: 'SwitchTransformersForConditionalGeneration',
  config: 'SwitchTransformersConfig',
  defaults: {
    d_ff: 2048,
    d_kv: 64,
    d_model: 768,
    dense_act_fn: 'relu',
    dropout_rate: 0.1,
    expert_capacity: 64,
    initializer_factor: 1,
    layer_norm_epsilon: 1e-6,
    num_decoder_layers: 12,
    num_experts: 8,
    num_heads: 12,
    num_layers: 12,
    num_sparse_decoder_layers: 3,
    num_sparse_encoder_layers: 3,
    relative_attention_max_distance: 128,
    relative_attention_num_buckets: 32,
    router_aux_loss_coef: 0.001,
    router_bias: false,
    router_dtype: 'float32',
    router_jitter_noise: 0.01,
    router_z_loss_coef: 0.001,
    tie_word_embeddings: true,
    vocab_size: 32_128,
  },
};

/** Positions of a sequence that T5 was trained at; its config has no length. */
const T5_LENGTH = 512;
/** The smallest capacity factor: it gives no expert more room than the least that the config says. */
const LEAST_FACTOR = 1e-6;

function refuseUnbuilt(keys: ConfigKeys): void {
  if (keys.get('dense_act_fn') !== 'relu') throw keys.refuse('dense_act_fn', 'only relu is readable');
  if (keys.flag('router_bias')) throw keys.refuse('router_bias', 'routers have no biases of logits here');
  if (keys.get('router_dtype') !== 'float32')
    throw keys.refuse('router_dtype', 'routers compute in float32 here');
  if (keys.get('quantization_config') !== null)
    throw keys.refuse('quantization_config', 'quantised weights are not read; save the model in BF16 or F32');
}

interface Stacks {
  readonly encoder: number;
  readonly decoder: number;
  /** Every n-th block of both has experts. */
  readonly every: number;
}

/** Transformers has experts in blocks 1, 1 + step, … of a stack, which is every n-th one for steps of 1 and 2 alone. */
function stacksFrom(keys: ConfigKeys): Stacks {
  const encoder = keys.count('num_layers');
  const decoder = keys.countOr('num_decoder_layers', encoder);
  const step = (layers: number, key: string): number => {
    const found = Math.floor(layers / keys.count(key));
    if (found === 1 || found === 2) return found;
    throw keys.refuse(key, `of ${layers} layers all or every second one can have experts here`);
  };
  const every = step(encoder, 'num_sparse_encoder_layers');
  if (step(decoder, 'num_sparse_decoder_layers') !== every)
    throw keys.refuse(
      'num_sparse_decoder_layers',
      `in the encoder every ${every === 1 ? '' : '2nd '}layer has experts, and both stacks are alike here`,
    );
  if (Math.min(encoder, decoder) < every)
    throw keys.refuse('num_layers', 'a stack without a layer of experts is not readable');
  return { encoder, decoder, every };
}

/** Layers with experts of the stack that has more. */
const mostSparse = ({ encoder, decoder, every }: Stacks): number =>
  Math.floor(Math.max(encoder, decoder) / every);

function moeFrom(keys: ConfigKeys, stacks: Stacks): MoeConfig {
  const layers = mostSparse(stacks);
  return {
    every: stacks.every,
    firstDense: 0,
    experts: keys.count('num_experts'),
    topK: 1,
    dExpert: keys.count('d_ff'),
    sharedExperts: 0,
    router: defaultRouter,
    capacity: {
      train: LEAST_FACTOR,
      eval: LEAST_FACTOR,
      min: keys.count('expert_capacity'),
      drop: 'position',
      weights: 'kept',
    },
    norm: false,
    renormalise: false,
    choice: 'learned',
    balance: {
      auxLoss: keys.number('router_aux_loss_coef') / layers,
      zLoss: keys.number('router_z_loss_coef') / layers,
      scope: 'sequence',
      layers: 'each',
      bias: 0,
      domain: 1,
    },
  };
}

/** What training here does otherwise. */
function notesOf(keys: ConfigKeys, stacks: Stacks): readonly string[] {
  const untrained = ['dropout_rate', 'router_jitter_noise'].filter((name) => keys.number(name) > 0);
  const capacity = keys.count('expert_capacity');
  return [
    ...untrained.map((name) => `${name} ${keys.number(name)} is not built; training goes without it`),
    `expert_capacity ${capacity} is of a sequence: here of a grain, so train.grains should be train.batch`,
    'padding is not routed here; Transformers gives it room at the experts and counts it in its losses',
    ...(mostSparse(stacks) > 1
      ? [
          'Transformers balances all layers of a stack together, here each one is, at its share of the coefficient',
        ]
      : []),
  ];
}

/** What `config.json` of a Switch Transformer says, in our terms. @throws {CheckpointUnsupportedError} TROUPE_CHECKPOINT_UNSUPPORTED naming the key */
export function configFromSwitch(
  where: string,
  json: Json,
  seqLen: number = T5_LENGTH,
): { readonly keys: ConfigKeys; readonly config: ModelConfig; readonly notes: readonly string[] } {
  const keys = new ConfigKeys(where, json, switchClass);
  refuseUnbuilt(keys);
  const stacks = stacksFrom(keys);
  const heads = keys.count('num_heads');
  const dModel = keys.count('d_model');
  const config: ModelConfig = {
    vocab: keys.count('vocab_size'),
    layers: stacks.encoder + stacks.decoder,
    encoder: { layers: stacks.encoder, seqLen },
    positions: 't5',
    relative: {
      buckets: keys.count('relative_attention_num_buckets'),
      maxDistance: keys.count('relative_attention_max_distance'),
    },
    dModel,
    heads,
    kvHeads: heads,
    headDim: keys.count('d_kv'),
    mla: null,
    seqLen,
    norm: { kind: 'rms', eps: keys.positive('layer_norm_epsilon') },
    qkNorm: 'none',
    rope: { theta: 1e4 },
    tiedHead: keys.flag('tie_word_embeddings'),
    init: { scale: 1, embedding: keys.positive('initializer_factor') },
    ffn: { activation: 'relu', dFf: keys.count('d_ff') },
    moe: moeFrom(keys, stacks),
  };
  return { keys, config, notes: notesOf(keys, stacks) };
}

/** Where a parameter of ours lies in the files of a Switch Transformer. */
export interface SwitchSource {
  readonly key: string;
  /** Our weight is theirs, so many times. */
  readonly scale: number;
}

const inFfn: Readonly<Record<string, string>> = {
  'post_attention_layernorm.weight': 'layer_norm.weight',
  'mlp.up_proj.weight': 'mlp.wi.weight',
  'mlp.down_proj.weight': 'mlp.wo.weight',
  'mlp.gate.weight': 'mlp.router.classifier.weight',
};

/** The name of a tensor of a block, behind `….layer.`; `ffn`: the number of its last part. */
function nameInBlock(name: string, ffn: number): string {
  if (name === 'input_layernorm.weight') return '0.layer_norm.weight';
  if (name === 'cross_attn_layernorm.weight') return '1.layer_norm.weight';
  const [, attention, matrix] = /^(self|cross)_attn\.([qkvo])_proj\.weight$/u.exec(name) ?? [];
  if (matrix !== undefined)
    return attention === 'self' ? `0.SelfAttention.${matrix}.weight` : `1.EncDecAttention.${matrix}.weight`;
  const [, expert, rest] = /^mlp\.experts\.(\d+)\.(.+)$/u.exec(name) ?? [];
  if (expert !== undefined && rest !== undefined)
    return `${ffn}.mlp.experts.expert_${expert}.${rest === 'up_proj.weight' ? 'wi' : 'wo'}.weight`;
  return `${ffn}.${inFfn[name] ?? name}`;
}

/**
 * Where a parameter lies. A tied head reads what the last norm gives times d_model^-0.5, which is the same as a norm whose weights are so much
 * smaller; nothing else is scaled.
 */
export function switchSource(config: ModelConfig, name: string): SwitchSource {
  if (name === 'model.embed_tokens.weight') return { key: 'shared.weight', scale: 1 };
  if (name === 'model.encoder_norm.weight') return { key: 'encoder.final_layer_norm.weight', scale: 1 };
  if (name === 'model.norm.weight') {
    const scale = config.tiedHead ? 1 / Math.sqrt(config.dModel) : 1;
    return { key: 'decoder.final_layer_norm.weight', scale };
  }
  const [, stack] = /^model\.(encoder|decoder)\.relative_attention_bias\.weight$/u.exec(name) ?? [];
  if (stack !== undefined)
    return { key: `${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`, scale: 1 };
  const [, index, rest] = /^model\.layers\.(\d+)\.(.+)$/u.exec(name) ?? [];
  if (index === undefined || rest === undefined) return { key: name, scale: 1 };
  const layer = Number(index);
  const stream = streamOf(config, layer);
  const block = stream === 'encoder' ? layer : layer - (config.encoder?.layers ?? 0);
  const inBlock = nameInBlock(rest, stream === 'encoder' ? 1 : 2);
  return { key: `${stream}.block.${block}.layer.${inBlock}`, scale: 1 };
}
