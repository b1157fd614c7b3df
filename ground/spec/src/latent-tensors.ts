import { assert } from '@troupe/core';
import type { ModelConfig, ParameterInit } from './model-config.ts';

/** A matrix or a vector of latent attention. */
interface LatentTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: ParameterInit;
}

/** One that makes something of every head. */
interface HeadTensor extends LatentTensor {
  readonly split: { readonly along: 'rows'; readonly pieces: number };
}

/**
 * Tensors of multi-head latent attention, by DeepSeek's names in Hugging Face's checkpoints: from the hidden state down to the latents
 * (and the turned part of a key, which all heads share), norms of the latents, and up to queries, keys and values.
 *
 * @see DeepSeek-AI 2024, arXiv:2405.04434, §2.1.2
 */
export function latentTensors(
  { dModel, heads, mla, init }: ModelConfig,
  prefix: string,
): {
  readonly down: readonly LatentTensor[];
  readonly norms: readonly LatentTensor[];
  readonly up: { readonly q: HeadTensor; readonly kv: HeadTensor };
} {
  assert(mla !== null, 'only latent attention has latents', { prefix });
  const { qRank, kvRank, nopeDim, ropeDim, valueDim } = mla;
  const matrix = (name: string, rows: number, columns: number): LatentTensor => ({
    name: `${prefix}.${name}.weight`,
    shape: [rows, columns],
    init: { kind: 'truncated-normal', std: Math.sqrt(init.scale / columns) },
  });
  const norm = (name: string, width: number): LatentTensor => ({
    name: `${prefix}.${name}.weight`,
    shape: [width],
    init: { kind: 'constant', value: 1 },
  });
  const ofHeads = (name: string, width: number, rank: number): HeadTensor => ({
    ...matrix(name, heads * width, rank),
    split: { along: 'rows', pieces: heads },
  });
  return {
    down: [matrix('q_a_proj', qRank, dModel), matrix('kv_a_proj_with_mqa', kvRank + ropeDim, dModel)],
    norms: [norm('q_a_layernorm', qRank), norm('kv_a_layernorm', kvRank)],
    up: {
      q: ofHeads('q_b_proj', nopeDim + ropeDim, qRank),
      kv: ofHeads('kv_b_proj', nopeDim + valueDim, kvRank),
    },
  };
}
