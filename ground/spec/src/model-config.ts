import type { Activation, NormKind } from '@troupe/kernel-set';
import type { CapacityConfig } from './capacity.ts';
import type { RouterConfig, RouterName } from './routers.ts';

export { activations } from '@troupe/kernel-set';

/** Where the balance loss takes its fractions; math.md §2 of the blueprint. */
export type BalanceScope = 'sequence' | 'domain' | 'global';

export interface BalanceConfig {
  /** Coefficient of the balance loss; 0 switches it off. */
  readonly auxLoss: number;
  /** Coefficient of the z-loss, mean(logsumexp²); 0 switches it off. */
  readonly zLoss: number;
  readonly scope: BalanceScope;
  /** Consecutive grains whose tokens are balanced together, for the scope `domain`. */
  readonly domain: number;
  /** `pooled`: the tokens of all layers together, as Transformers does for Mixtral and OLMoE. */
  readonly layers: 'each' | 'pooled';
  /** Step of loss-free balancing by a bias on the scores (arXiv:2408.15664); 0: there is no bias. */
  readonly bias: number;
}

/** How a parameter starts. `std` of a truncated normal is the one before the cut at two of them. */
export type ParameterInit =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'truncated-normal'; readonly std: number };

/** A parameter that every expert has one of. */
export interface ExpertParameter {
  /** Last part of its global name, after `model.layers.L.mlp.experts.E.`. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Default: as the model's matrices, the last dimension being the fan-in; 0 where there is one dimension only. */
  readonly init?: ParameterInit;
}

export interface MoeConfig {
  /** 1: every layer; n: layers n-1, 2n-1, … (0-based), as in arXiv:2109.10465. */
  readonly every: number;
  /** Layers at the beginning that have a dense FFN whatever `every` says. */
  readonly firstDense: number;
  readonly experts: number;
  readonly topK: number;
  /** Hidden width of one expert. */
  readonly dExpert: number;
  /** Always-on experts beside the routed ones, together one FFN of sharedExperts·dExpert. */
  readonly sharedExperts: number;
  readonly router: RouterConfig;
  /** How many rows of a grain an expert takes, and which. */
  readonly capacity: CapacityConfig;
  /** A norm of what routed experts add to a token, of the kind of the model's (arXiv:2402.07871, §3.1). */
  readonly norm: boolean;
  /** Divide the chosen probabilities by their sum (only when topK > 1). */
  readonly renormalise: boolean;
  readonly choice: RouterName<'choice'>;
  readonly balance: BalanceConfig;
  /** Parameters of an own expert, instead of gate, up and down; absent: the model's FFN. */
  readonly expertParameters?: readonly ExpertParameter[];
}

/** Multi-head latent attention. @see DeepSeek-AI 2024, arXiv:2405.04434, §2.1 */
export interface LatentConfig {
  /** Width of the latent from which the queries of all heads come. */
  readonly qRank: number;
  /** Width of the one from which keys and values come. */
  readonly kvRank: number;
  /** Elements of a head of queries and keys that know no position. */
  readonly nopeDim: number;
  /** Further ones, turned by their position; those of keys are the same for all heads. */
  readonly ropeDim: number;
  /** Width of a head of values. */
  readonly valueDim: number;
}

/** The first stack of an encoder–decoder, which reads a text of its own. */
export interface EncoderConfig {
  /** The first blocks of the model are its; those behind them are the decoder's. */
  readonly layers: number;
  /** Positions of a sequence that it reads; `ModelConfig.seqLen` is the decoder's. */
  readonly seqLen: number;
}

/**
 * How a model knows where tokens stand: turned queries and keys, a table of sines that is added to embeddings, or a learned bias on scores by
 * distance (T5, whose scores are not scaled).
 */
export const positionCodes = ['rotary', 'sinusoidal', 't5'] as const;
export type PositionName = (typeof positionCodes)[number];

/** A language model, every default filled in; `blocks.ts` gives its blocks. */
export interface ModelConfig {
  readonly vocab: number;
  /** Blocks in all, those of an encoder among them. */
  readonly layers: number;
  /** Null: a decoder-only model. */
  readonly encoder: EncoderConfig | null;
  readonly positions: PositionName;
  readonly dModel: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** Width of a head of queries and keys; with `mla` nopeDim + ropeDim. */
  readonly headDim: number;
  /** Latent attention; null: queries, keys and values come from one product each. */
  readonly mla: LatentConfig | null;
  readonly seqLen: number;
  readonly norm: { readonly kind: NormKind; readonly eps: number };
  /** Query/key norm: per head, over the full width of the projection, or none. */
  readonly qkNorm: 'none' | 'head' | 'full';
  readonly rope: { readonly theta: number };
  /** Of `positions: t5`: how distances are put into buckets. @see Raffel et al. 2019, arXiv:1910.10683, §2.1 */
  readonly relative: { readonly buckets: number; readonly maxDistance: number };
  readonly tiedHead: boolean;
  /** Truncated normal, std = sqrt(scale / fanIn), cut at two std; `embedding` is the embedding's own std. */
  readonly init: { readonly scale: number; readonly embedding: number };
  /** The dense FFN; also the experts' activation. */
  readonly ffn: { readonly activation: Activation; readonly dFf: number };
  readonly moe: MoeConfig | null;
}
