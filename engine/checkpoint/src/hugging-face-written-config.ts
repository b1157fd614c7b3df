import type { ModelConfig, MoeConfig } from '@troupe/spec';
import type { Json } from './config-keys.ts';
import { huggingFaceClasses, type HuggingFaceKind } from './hugging-face-class.ts';
import { fittingKind } from './hugging-face-fit.ts';

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

/** The tokens that stand for more than text. null is written out, since an absent key would be the default of the class. */
export const tokenKeys = (endOfText: number | null): Json => ({
  bos_token_id: null,
  eos_token_id: endOfText,
  pad_token_id: null,
});

/**
 * `config.json` of a model config.
 *
 * @param options - `as`: the architecture, default the one that fits; `endOfText`: id that ends a document, default none
 * @returns `notes`: training settings that it cannot say
 * @throws {CheckpointUnsupportedError} TROUPE_CHECKPOINT_UNSUPPORTED naming each setting that the architecture does not have
 */
export function configToHuggingFace(
  where: string,
  config: ModelConfig,
  options: { readonly as?: HuggingFaceKind; readonly endOfText?: number | null } = {},
): { readonly kind: HuggingFaceKind; readonly json: Json; readonly notes: readonly string[] } {
  const kind = fittingKind(where, config, options.as);
  const moe = config.moe as MoeConfig;
  const { auxLoss, layers, scope } = moe.balance;
  const coefficient = layers === 'pooled' && scope === 'global' ? auxLoss / moe.topK : 0;
  const json = {
    architectures: [huggingFaceClasses[kind].model],
    model_type: kind,
    dtype: 'float32',
    torch_dtype: 'float32',
    ...tokenKeys(options.endOfText ?? null),
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

/** A whole number under a key that Transformers takes as a float alone. */
const wholeFloat = /("(?:initializer_range|rms_norm_eps|rope_theta|router_aux_loss_coef)": -?\d+)(?=[,\n])/gu;

/** The text of `config.json`: JavaScript writes `1` for 1.0, which Transformers refuses where a float belongs. */
export const configText = (json: Json): string =>
  `${JSON.stringify(json, null, 2).replaceAll(wholeFloat, '$1.0')}\n`;
