/** `model_type` of the architectures that both sides can express. */
export type HuggingFaceKind = 'mixtral' | 'olmoe' | 'qwen3_moe';

/** Of those that are read; Switch Transformers are not written. */
export type ReadableKind = HuggingFaceKind | 'switch_transformers';

/** What Transformers knows about an architecture before it reads a folder. */
export interface HuggingFaceClass {
  /** Class of the model, for `architectures`. */
  readonly model: string;
  /** Class of its config, whose values stand where `config.json` has none. */
  readonly config: string;
  /** Those values, for every key that decides a weight, a shape or a sum; as in Transformers 5.24. */
  readonly defaults: Readonly<Record<string, unknown>>;
}

const common = {
  attention_dropout: 0,
  head_dim: null,
  hidden_act: 'silu',
  initializer_range: 0.02,
  tie_word_embeddings: false,
} as const;

/** Every architecture by its `model_type`. A key that a class does not have is one that Transformers reads past. */
export const huggingFaceClasses: Readonly<Record<HuggingFaceKind, HuggingFaceClass>> = {
  mixtral: {
    model: 'MixtralForCausalLM',
    config: 'MixtralConfig',
    defaults: {
      ...common,
      hidden_size: 4096,
      intermediate_size: 14_336,
      max_position_embeddings: 131_072,
      num_attention_heads: 32,
      num_experts_per_tok: 2,
      num_hidden_layers: 32,
      num_key_value_heads: 8,
      num_local_experts: 8,
      rms_norm_eps: 1e-5,
      rope_theta: 1e6,
      router_aux_loss_coef: 0.001,
      router_jitter_noise: 0,
      sliding_window: null,
      vocab_size: 32_000,
    },
  },
  olmoe: {
    model: 'OlmoeForCausalLM',
    config: 'OlmoeConfig',
    defaults: {
      ...common,
      attention_bias: false,
      clip_qkv: null,
      hidden_size: 2048,
      intermediate_size: 2048,
      max_position_embeddings: 4096,
      norm_topk_prob: false,
      num_attention_heads: 16,
      num_experts_per_tok: 8,
      num_hidden_layers: 16,
      num_key_value_heads: null,
      num_local_experts: 64,
      rms_norm_eps: 1e-5,
      rope_theta: 1e4,
      router_aux_loss_coef: 0.01,
      vocab_size: 50_304,
    },
  },
  qwen3_moe: {
    model: 'Qwen3MoeForCausalLM',
    config: 'Qwen3MoeConfig',
    defaults: {
      ...common,
      attention_bias: false,
      decoder_sparse_step: 1,
      hidden_size: 2048,
      intermediate_size: 6144,
      max_position_embeddings: 32_768,
      mlp_only_layers: null,
      moe_intermediate_size: 768,
      norm_topk_prob: false,
      num_attention_heads: 32,
      num_experts_per_tok: 8,
      num_hidden_layers: 24,
      num_key_value_heads: 4,
      num_local_experts: 128,
      rms_norm_eps: 1e-6,
      rope_theta: 1e4,
      router_aux_loss_coef: 0.001,
      sliding_window: 4096,
      use_sliding_window: false,
      vocab_size: 151_936,
    },
  },
};

export const huggingFaceKinds = Object.keys(huggingFaceClasses) as readonly HuggingFaceKind[];
