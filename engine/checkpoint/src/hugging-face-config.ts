import { defaultRouter, dropless, routerNames, type ModelConfig, type MoeConfig } from '@troupe/spec';
import { ConfigKeys, type Json } from './config-keys.ts';
import { CheckpointUnsupportedError } from './errors.ts';
import {
  huggingFaceClasses,
  huggingFaceKinds,
  type HuggingFaceKind,
  type ReadableKind,
} from './hugging-face-class.ts';
import { configFromSwitch, switchKind } from './hugging-face-switch.ts';
import { shownJson } from './json-text.ts';
import { ropeTheta } from './rope-keys.ts';

/** Most tensors of one model, counted before they are listed: four times those of the largest that is published. */
const TENSORS_MAX = 2 ** 18;

function moeFrom(keys: ConfigKeys, kind: HuggingFaceKind): MoeConfig {
  const topK = keys.count('num_experts_per_tok');
  const experts = keys.count(keys.alias('num_local_experts', 'num_experts'));
  if (topK > experts) throw keys.refuse('num_experts_per_tok', `there are ${experts} experts`);
  const renormalise = kind === 'mixtral' || keys.flag('norm_topk_prob');
  if (renormalise && topK === 1) {
    throw keys.refuse(
      'num_experts_per_tok',
      'a single chosen expert is never renormalised here, so its weight would differ',
    );
  }
  return {
    every: kind === 'qwen3_moe' ? keys.count('decoder_sparse_step') : 1,
    firstDense: 0,
    experts,
    topK,
    dExpert: keys.count(kind === 'qwen3_moe' ? 'moe_intermediate_size' : 'intermediate_size'),
    sharedExperts: 0,
    router: defaultRouter,
    capacity: dropless,
    norm: false,
    renormalise,
    choice: routerNames('choice')[0],
    balance: {
      auxLoss: keys.number('router_aux_loss_coef') * topK,
      zLoss: 0,
      scope: 'global',
      layers: 'pooled',
      bias: 0,
      domain: 1,
    },
  };
}

/** Settings that would change an activation and that nothing here can express. */
function refuseUnbuilt(keys: ConfigKeys): void {
  const activation = keys.get('hidden_act');
  if (activation !== 'silu' && activation !== 'swish')
    throw keys.refuse('hidden_act', 'only silu (swiglu) is readable');
  if (keys.has('attention_bias') && keys.flag('attention_bias'))
    throw keys.refuse('attention_bias', 'projections have no biases here');
  if (keys.has('clip_qkv') && keys.get('clip_qkv') !== null)
    throw keys.refuse('clip_qkv', 'clipping of q, k and v is not built');
  const dense = keys.has('mlp_only_layers') ? (keys.get('mlp_only_layers') ?? []) : [];
  if (!Array.isArray(dense) || dense.length > 0)
    throw keys.refuse('mlp_only_layers', 'dense layers can only be spaced by decoder_sparse_step');
  if (keys.get('quantization_config') !== null)
    throw keys.refuse('quantization_config', 'quantised weights are not read; save the model in BF16 or F32');
}

/** Positions to train at: all that the model has, unless its attention would not see them. */
function seqLenFrom(keys: ConfigKeys, asked: number | undefined): number {
  const length = asked ?? keys.count('max_position_embeddings');
  const hasWindow = !keys.has('use_sliding_window') || keys.flag('use_sliding_window');
  if (hasWindow && keys.get('sliding_window') !== null && keys.number('sliding_window') < length) {
    throw keys.refuse(
      'sliding_window',
      `attention sees all ${length} positions here; choose a seqLen inside the window`,
    );
  }
  return length;
}

function headsFrom(keys: ConfigKeys, kind: HuggingFaceKind) {
  const [dModel, heads] = [keys.count('hidden_size'), keys.count('num_attention_heads')];
  const kvHeads = keys.countOr('num_key_value_heads', heads);
  if (heads % kvHeads !== 0)
    throw keys.refuse('num_key_value_heads', `it has to divide num_attention_heads, which is ${heads}`);
  const headDim = keys.countOr('head_dim', dModel / heads);
  if (!Number.isSafeInteger(headDim))
    throw keys.refuse('num_attention_heads', `it has to divide hidden_size, which is ${dModel}`);
  if (kind === 'olmoe' && headDim * heads !== dModel)
    throw keys.refuse('head_dim', `heads of OLMoE together are as wide as hidden_size, which is ${dModel}`);
  if (headDim % 2 !== 0)
    throw keys.refuse('head_dim', `a head is ${headDim} wide, and rotary positions turn pairs of elements`);
  return { dModel, heads, kvHeads, headDim };
}

/** What the file asks of training, and ours does without. */
function untrained(keys: ConfigKeys): readonly string[] {
  return ['attention_dropout', 'router_jitter_noise']
    .filter((name) => keys.has(name) && keys.number(name) > 0)
    .map((name) => `${name} ${keys.number(name)} is not built; training goes without it`);
}

/** Before its tensors are listed. */
function refuseMany(keys: ConfigKeys, key: string, { layers, moe }: ModelConfig): void {
  const experts = moe?.experts ?? 0;
  const tensors = layers * (3 * experts + 11);
  if (tensors > TENSORS_MAX)
    throw keys.refuse(
      key,
      `with ${experts} experts a layer the model has ${tensors} tensors; at most ${TENSORS_MAX} are read`,
    );
}

/** A config.json in our terms. */
export interface HuggingFaceConfig {
  readonly kind: ReadableKind;
  readonly config: ModelConfig;
  /** What it asks of training that is not built. */
  readonly notes: readonly string[];
}

/**
 * A model config from `config.json`. An absent key has the value of the class that Transformers reads it with.
 *
 * Transformers pools all layers' tokens and its auxiliary loss is k at perfect balance, ours is 1, so the coefficient
 * is `router_aux_loss_coef · k`, with `scope: global`, `layers: pooled`. It is taken over whatever
 * `output_router_logits` says, which only decides whether Transformers itself adds the loss. What only training from
 * scratch needs is not in the file: `init.scale` becomes 1, `init.embedding` is `initializer_range`.
 *
 * @param seqLen - sequence length to train at; default `max_position_embeddings`
 * @throws {CheckpointUnsupportedError} TROUPE_CHECKPOINT_UNSUPPORTED naming the key and its value
 */
export function configFromHuggingFace(where: string, json: Json, seqLen?: number): HuggingFaceConfig {
  if (json['model_type'] === switchKind) {
    const { keys, config, notes } = configFromSwitch(where, json, seqLen);
    refuseMany(keys, 'num_layers', config);
    return { kind: switchKind, config, notes };
  }
  const kind = huggingFaceKinds.find((each) => each === json['model_type']);
  if (kind === undefined) {
    const value = shownJson(json['model_type']);
    const problem = `model_type is ${value}; readable are ${[...huggingFaceKinds, switchKind].join(', ')}`;
    throw new CheckpointUnsupportedError(where, problem, { key: 'model_type', value });
  }
  const keys = new ConfigKeys(where, json, huggingFaceClasses[kind]);
  refuseUnbuilt(keys);
  const moe = moeFrom(keys, kind);
  const layers = keys.count('num_hidden_layers');
  const config: ModelConfig = {
    vocab: keys.count('vocab_size'),
    layers,
    ...headsFrom(keys, kind),
    mla: null,
    encoder: null,
    positions: 'rotary',
    relative: { buckets: 32, maxDistance: 128 },
    seqLen: seqLenFrom(keys, seqLen),
    norm: { kind: 'rms', eps: keys.positive('rms_norm_eps') },
    qkNorm: ({ mixtral: 'none', olmoe: 'full', qwen3_moe: 'head' } as const)[kind],
    rope: { theta: ropeTheta(keys) },
    tiedHead: keys.flag('tie_word_embeddings'),
    init: { scale: 1, embedding: keys.positive('initializer_range') },
    ffn: { activation: 'swiglu', dFf: keys.count('intermediate_size') },
    moe,
  };
  refuseMany(keys, 'num_hidden_layers', config);
  return { kind, config, notes: untrained(keys) };
}
