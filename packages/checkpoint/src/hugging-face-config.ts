import type { ModelConfig, MoeConfig } from '@troupe/spec';
import { CheckpointUnsupportedError } from './errors.ts';

/** `model_type` of the architectures that both sides can express. */
export type HuggingFaceKind = 'mixtral' | 'olmoe' | 'qwen3_moe';

const architectures: Readonly<Record<HuggingFaceKind, string>> = {
  mixtral: 'MixtralForCausalLM',
  olmoe: 'OlmoeForCausalLM',
  qwen3_moe: 'Qwen3MoeForCausalLM',
};

type Json = Readonly<Record<string, unknown>>;

/** Reads the keys of one config.json and refuses by name. */
class ConfigKeys {
  readonly where: string;
  readonly #json: Json;

  constructor(where: string, json: Json) {
    this.where = where;
    this.#json = json;
  }

  /** null and absent are the same: Transformers writes null for "its default". */
  get(...names: readonly string[]): unknown {
    for (const name of names) {
      const value = this.#json[name];
      if (value !== undefined && value !== null) return value;
    }
    return null;
  }

  refuse(name: string, hint: string): CheckpointUnsupportedError {
    const value = JSON.stringify(this.#json[name]) ?? 'missing';
    return new CheckpointUnsupportedError(this.where, `${name} is ${value}; ${hint}`, { key: name, value });
  }

  count(...names: readonly [string, ...string[]]): number {
    const value = this.get(...names);
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
    throw this.refuse(names[0], 'a positive integer is needed');
  }

  number(name: string, fallback: number): number {
    const value = this.get(name) ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw this.refuse(name, 'a number is needed');
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.get(name) ?? fallback;
    if (typeof value === 'boolean') return value;
    throw this.refuse(name, 'true or false is needed');
  }

  mustBe(name: string, allowed: unknown, hint: string): void {
    const value = this.get(name);
    if (value !== null && value !== allowed) throw this.refuse(name, hint);
  }
}

function ropeTheta(keys: ConfigKeys): number {
  const parameters = (keys.get('rope_parameters', 'rope_scaling') ?? {}) as Json;
  const type = parameters['rope_type'] ?? parameters['type'] ?? 'default';
  if (type !== 'default') {
    const name = keys.get('rope_parameters') === null ? 'rope_scaling' : 'rope_parameters';
    throw keys.refuse(name, 'only plain rotary positions (rope_type default) are built');
  }
  const theta = parameters['rope_theta'] ?? keys.number('rope_theta', 10000);
  if (typeof theta === 'number' && theta > 0) return theta;
  throw keys.refuse('rope_parameters', 'rope_theta is a positive number');
}

function moeFrom(keys: ConfigKeys, kind: HuggingFaceKind): MoeConfig {
  const topK = keys.count('num_experts_per_tok');
  const renormalise = kind === 'mixtral' || keys.flag('norm_topk_prob', false);
  if (renormalise && topK === 1) {
    throw keys.refuse(
      'num_experts_per_tok',
      'a single chosen expert is never renormalised here, so its weight would differ',
    );
  }
  return {
    every: kind === 'qwen3_moe' ? keys.number('decoder_sparse_step', 1) : 1,
    experts: keys.count('num_local_experts', 'num_experts'),
    topK,
    dExpert: keys.count(kind === 'qwen3_moe' ? 'moe_intermediate_size' : 'intermediate_size'),
    sharedExperts: 0,
    renormalise,
    choice: 'learned',
    balance: {
      auxLoss: keys.number('router_aux_loss_coef', 0) * topK,
      zLoss: 0,
      scope: 'global',
      layers: 'pooled',
    },
  };
}

/**
 * A model config from `config.json`.
 *
 * Transformers pools all layers' tokens and its auxiliary loss is k at perfect balance, ours is 1, so the coefficient
 * is `router_aux_loss_coef · k`, with `scope: global`, `layers: pooled`. It is taken over whatever
 * `output_router_logits` says, which only decides whether Transformers itself adds the loss. What only training from
 * scratch needs is not in the file: `init.scale` becomes 1, `init.embedding` is `initializer_range`.
 *
 * @param seqLen - sequence length to train at; default `max_position_embeddings`
 * @throws {CheckpointUnsupportedError} TROUPE_CHECKPOINT_UNSUPPORTED naming the key and its value
 */
export function configFromHuggingFace(
  where: string,
  json: Json,
  seqLen?: number,
): { readonly kind: HuggingFaceKind; readonly config: ModelConfig } {
  const keys = new ConfigKeys(where, json);
  const kind = (['mixtral', 'olmoe', 'qwen3_moe'] as const).find((each) => each === json['model_type']);
  if (kind === undefined) {
    throw keys.refuse('model_type', `readable are ${Object.keys(architectures).join(', ')}`);
  }
  keys.mustBe('hidden_act', 'silu', 'only silu (swiglu) is readable');
  keys.mustBe('attention_bias', false, 'projections have no biases here');
  if (keys.get('clip_qkv') !== null) throw keys.refuse('clip_qkv', 'clipping of q, k and v is not built');
  const [first] = (keys.get('mlp_only_layers') ?? []) as readonly unknown[];
  if (first !== undefined)
    throw keys.refuse('mlp_only_layers', 'dense layers can only be spaced by decoder_sparse_step');
  const length = seqLen ?? keys.count('max_position_embeddings');
  const hasWindow = kind !== 'qwen3_moe' || keys.flag('use_sliding_window', false);
  if (hasWindow && keys.number('sliding_window', length) < length) {
    throw keys.refuse(
      'sliding_window',
      `attention sees all ${length} positions here; choose a seqLen inside the window`,
    );
  }
  const [dModel, heads] = [keys.count('hidden_size'), keys.count('num_attention_heads')];
  const headDim = kind === 'olmoe' ? dModel / heads : keys.number('head_dim', dModel / heads);
  if (!Number.isSafeInteger(headDim))
    throw keys.refuse('num_attention_heads', `does not divide hidden_size ${dModel}`);
  const config: ModelConfig = {
    vocab: keys.count('vocab_size'),
    layers: keys.count('num_hidden_layers'),
    dModel,
    heads,
    kvHeads: keys.number('num_key_value_heads', heads),
    headDim,
    seqLen: length,
    norm: { kind: 'rms', eps: keys.number('rms_norm_eps', kind === 'qwen3_moe' ? 1e-6 : 1e-5) },
    qkNorm: ({ mixtral: 'none', olmoe: 'full', qwen3_moe: 'head' } as const)[kind],
    rope: { theta: ropeTheta(keys) },
    tiedHead: keys.flag('tie_word_embeddings', false),
    init: { scale: 1, embedding: keys.number('initializer_range', 0.02) },
    ffn: { activation: 'swiglu', dFf: keys.count('intermediate_size') },
    moe: moeFrom(keys, kind),
  };
  return { kind, config };
}

function kindOf(config: ModelConfig, where: string): HuggingFaceKind {
  const refuse = (problem: string): CheckpointUnsupportedError =>
    new CheckpointUnsupportedError(where, `${problem}; writable are Mixtral, OLMoE and Qwen3-MoE`);
  const { moe } = config;
  if (moe === null) throw refuse('the model has no experts');
  if (config.norm.kind !== 'rms') throw refuse(`norm is ${config.norm.kind}`);
  if (config.ffn.activation !== 'swiglu') throw refuse(`ffn is ${config.ffn.activation}`);
  if (moe.sharedExperts > 0) throw refuse(`sharedExperts is ${moe.sharedExperts}`);
  if (moe.choice !== 'learned') throw refuse(`the router is ${moe.choice}`);
  if (config.qkNorm !== 'head' && moe.every !== 1) throw refuse(`every is ${moe.every} without qkNorm head`);
  if (config.qkNorm === 'head') return 'qwen3_moe';
  if (config.qkNorm === 'none') {
    if (moe.renormalise && moe.topK > 1) return 'mixtral';
    throw refuse('qkNorm none without renormalise (or with topK 1)');
  }
  if (config.headDim * config.heads === config.dModel) return 'olmoe';
  throw refuse(`qkNorm full with heads · headDim ${config.heads * config.headDim} ≠ dModel ${config.dModel}`);
}

/** What `config.json` cannot say; it only matters to somebody who trains on. */
function lostSettings(moe: MoeConfig): readonly string[] {
  const { auxLoss, zLoss, scope, layers } = moe.balance;
  const notes: string[] = [];
  if (zLoss !== 0) notes.push(`zLoss ${zLoss} has no place in config.json`);
  if (auxLoss !== 0 && (layers !== 'pooled' || scope !== 'global')) {
    notes.push(
      `the balance loss (${scope}, ${layers}) is not the pooled one of Transformers; router_aux_loss_coef is 0`,
    );
  }
  return notes;
}

/**
 * `config.json` of a model config; which architecture follows from the config.
 *
 * @returns `notes`: training settings that it cannot say
 * @throws {CheckpointUnsupportedError} TROUPE_CHECKPOINT_UNSUPPORTED naming what none of the architectures has
 */
export function configToHuggingFace(
  where: string,
  config: ModelConfig,
): { readonly kind: HuggingFaceKind; readonly json: Json; readonly notes: readonly string[] } {
  const kind = kindOf(config, where);
  const moe = config.moe as MoeConfig;
  const { auxLoss, layers, scope } = moe.balance;
  const coefficient = layers === 'pooled' && scope === 'global' ? auxLoss / moe.topK : 0;
  const json = {
    architectures: [architectures[kind]],
    model_type: kind,
    dtype: 'float32',
    torch_dtype: 'float32',
    hidden_act: 'silu',
    hidden_size: config.dModel,
    initializer_range: config.init.embedding,
    max_position_embeddings: config.seqLen,
    num_attention_heads: config.heads,
    num_experts_per_tok: moe.topK,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.kvHeads,
    output_router_logits: coefficient > 0,
    rms_norm_eps: config.norm.eps,
    rope_parameters: { rope_theta: config.rope.theta, rope_type: 'default' },
    rope_theta: config.rope.theta,
    router_aux_loss_coef: coefficient,
    tie_word_embeddings: config.tiedHead,
    vocab_size: config.vocab,
    ...kindKeys(kind, config, moe),
  };
  return { kind, json, notes: lostSettings(moe) };
}

function kindKeys(kind: HuggingFaceKind, config: ModelConfig, moe: MoeConfig): Json {
  if (kind === 'mixtral') {
    return {
      head_dim: config.headDim,
      intermediate_size: moe.dExpert,
      num_local_experts: moe.experts,
      sliding_window: null,
    };
  }
  const common = {
    attention_bias: false,
    num_experts: moe.experts,
    norm_topk_prob: moe.renormalise && moe.topK > 1,
  };
  if (kind === 'olmoe') return { ...common, clip_qkv: null, intermediate_size: moe.dExpert };
  return {
    ...common,
    decoder_sparse_step: moe.every,
    head_dim: config.headDim,
    intermediate_size: config.ffn.dFf,
    mlp_only_layers: [],
    moe_intermediate_size: moe.dExpert,
    num_local_experts: moe.experts,
    sliding_window: null,
    use_sliding_window: false,
  };
}
