import { assert, NotBuiltError } from '@troupe/core';
import type { Activation, NormKind, RelativeBuckets } from '@troupe/kernel-set';
import type { EncoderConfig, LatentConfig, ModelConfig, MoeConfig } from './model-config.ts';

/** How queries and keys know where they stand. */
export type PositionCode =
  /** The last `dim` elements of a head are turned. */
  | { readonly kind: 'rotary'; readonly theta: number; readonly dim: number }
  /** Scores have a bias by head and distance, from a table that all blocks of the stream share. */
  | ({ readonly kind: 'relative' } & RelativeBuckets)
  | { readonly kind: 'none' };

/** A stack of blocks, which works on rows of its own. */
export type StreamName = 'encoder' | 'decoder';

/** What a position sees, and where its keys and values come from. */
export type MixerScope =
  /** Itself and everything before it in its document. */
  | { readonly kind: 'causal' }
  /** The last `window` positions, itself among them. */
  | { readonly kind: 'windowed'; readonly window: number }
  /** All positions of its document. */
  | { readonly kind: 'bidirectional' }
  /** All positions of another stream: the memory of an encoder. */
  | { readonly kind: 'cross'; readonly reads: StreamName };

/** Ranks through which a mixer makes queries, and keys and values: from what lies between come those of every head. */
export type LatentRanks = Pick<LatentConfig, 'qRank' | 'kvRank'>;

/** The part of a block that mixes positions. */
export interface Mixer {
  readonly scope: MixerScope;
  readonly heads: number;
  /** Heads of keys and values; each serves heads / kvHeads query heads. */
  readonly kvHeads: number;
  /** Width of a head of queries and keys. */
  readonly headDim: number;
  /** Width of a head of values. */
  readonly valueDim: number;
  /** Multi-head latent attention (arXiv:2405.04434, §2.1); null: queries, keys and values come from one product each. */
  readonly latent: LatentRanks | null;
  /** Norm of queries and keys: none, per head, or over the full width of the projection. */
  readonly qkNorm: 'none' | 'head' | 'full';
  readonly positions: PositionCode;
  /** Factor of the products of queries and keys. */
  readonly scoreScale: number;
}

/** The part of a block that works on each position alone. */
export type FeedForward =
  | { readonly kind: 'dense'; readonly activation: Activation; readonly hidden: number }
  | {
      readonly kind: 'moe';
      readonly activation: Activation;
      /** Hidden width of one routed expert. */
      readonly hidden: number;
      /** Hidden width of all shared experts together; 0: none. */
      readonly sharedHidden: number;
      readonly moe: MoeConfig;
    };

/** x + mixer(norm(x)), in a decoder that has an encoder x + cross(norm(x)), then x + ffn(norm(x)): one layer of one stream of rows. */
export interface Block {
  /** Position in the model, 0-based; parameters are named by it. */
  readonly index: number;
  /** Blocks of one stream follow each other; only `cross` reads another stream. */
  readonly stream: StreamName;
  /** Of all its norms. */
  readonly norm: { readonly kind: NormKind; readonly eps: number };
  readonly mixer: Mixer;
  /** How it reads the memory, between mixer and FFN; null: there is none. */
  readonly cross: Mixer | null;
  readonly ffn: FeedForward;
}

/** Blocks of the encoder, which are the first of the model. */
export const encoderLayers = ({ encoder }: ModelConfig): number => encoder?.layers ?? 0;

/** The stream of block `index`. */
export const streamOf = (config: ModelConfig, index: number): StreamName =>
  index < encoderLayers(config) ? 'encoder' : 'decoder';

/** Positions of a sequence of the stream that block `index` is of. */
export const seqLenOf = (config: ModelConfig, index: number): number =>
  index < encoderLayers(config) ? (config.encoder?.seqLen ?? 0) : config.seqLen;

/** Positions of a sequence in all streams together. */
export const positionsOf = ({ seqLen, encoder }: ModelConfig): number => seqLen + (encoder?.seqLen ?? 0);

/** What layers have experts follows from. */
interface ExpertLayers {
  readonly encoder: Pick<EncoderConfig, 'layers'> | null;
  readonly moe: Pick<MoeConfig, 'every' | 'firstDense'> | null;
}

/** Whether block `index` has experts: `every` and `firstDense` count within its stack. */
export function hasExperts({ encoder, moe }: ExpertLayers, index: number): boolean {
  const before = encoder === null || index < encoder.layers ? 0 : encoder.layers;
  const inStack = index - before;
  return moe !== null && inStack >= moe.firstDense && (inStack + 1) % moe.every === 0;
}

function feedForward(config: ModelConfig, index: number): FeedForward {
  const { moe } = config;
  const { activation, dFf } = config.ffn;
  if (moe === null || !hasExperts(config, index)) return { kind: 'dense', activation, hidden: dFf };
  return {
    kind: 'moe',
    activation,
    hidden: moe.dExpert,
    sharedHidden: moe.sharedExperts * moe.dExpert,
    moe,
  };
}

/** Elements of a head that rotary positions turn. */
export const rotaryDim = ({ headDim, mla }: ModelConfig): number => mla?.ropeDim ?? headDim;

/** How queries and keys of a stream know where they stand. */
function positionCode(config: ModelConfig, stream: StreamName): PositionCode {
  const { positions, rope, relative } = config;
  if (positions === 'rotary') return { kind: 'rotary', theta: rope.theta, dim: rotaryDim(config) };
  if (positions === 't5') return { kind: 'relative', ...relative, bidirectional: stream === 'encoder' };
  return { kind: 'none' };
}

/** Of every block of a model, but for its scope; by default of one in the decoder. */
export function mixerOf(config: ModelConfig, stream: StreamName = 'decoder'): Mixer {
  const { heads, kvHeads, headDim, qkNorm, mla, positions } = config;
  return {
    scope: { kind: stream === 'encoder' ? 'bidirectional' : 'causal' },
    heads,
    kvHeads,
    headDim,
    valueDim: mla?.valueDim ?? headDim,
    latent: mla === null ? null : { qRank: mla.qRank, kvRank: mla.kvRank },
    qkNorm,
    positions: positionCode(config, stream),
    // T5 has the factor in its initial weights.
    scoreScale: positions === 't5' ? 1 : 1 / Math.sqrt(headDim),
  };
}

/** How the blocks of a decoder read what its encoder made: as many heads, no positions, no norm of queries and keys. */
export function crossMixerOf(config: ModelConfig): Mixer {
  return {
    ...mixerOf(config),
    scope: { kind: 'cross', reads: 'encoder' },
    qkNorm: 'none',
    positions: { kind: 'none' },
  };
}

/** Block `index` of a model. A decoder-only model is one stream of causal blocks. */
export function blockOf(config: ModelConfig, index: number): Block {
  assert(index >= 0 && index < config.layers, 'a block belongs to the model', {
    index,
    blocks: config.layers,
  });
  const stream = streamOf(config, index);
  return {
    index,
    stream,
    norm: config.norm,
    mixer: mixerOf(config, stream),
    cross: config.encoder !== null && stream === 'decoder' ? crossMixerOf(config) : null,
    ffn: feedForward(config, index),
  };
}

/** All blocks of a model, in forward order. */
export const blocksOf = (config: ModelConfig): readonly Block[] =>
  Array.from({ length: config.layers }, (_, index) => blockOf(config, index));

/** True when block `index` has experts instead of a dense FFN. */
export const isMoeLayer = (config: ModelConfig, index: number): boolean =>
  blockOf(config, index).ffn.kind === 'moe';

/** 0-based indices of the blocks with experts. */
export const moeLayers = (config: ModelConfig): readonly number[] =>
  blocksOf(config)
    .filter(({ ffn }) => ffn.kind === 'moe')
    .map(({ index }) => index);

/** What the widths of a mixer follow from. */
export type MixerHeads = Pick<Mixer, 'heads' | 'kvHeads' | 'headDim' | 'valueDim'>;

/** Widths of all queries, keys and values of a position, in elements. */
export function qkvWidths({ heads, kvHeads, headDim, valueDim }: MixerHeads): {
  readonly q: number;
  readonly k: number;
  readonly v: number;
  readonly all: number;
  /** Of what attention gives: a value for every query head. */
  readonly out: number;
} {
  const q = heads * headDim;
  const k = kvHeads * headDim;
  const v = kvHeads * valueDim;
  return { q, k, v, all: q + k + v, out: heads * valueDim };
}

/** Width of what is multiplied for a pair of positions: of a query with a key, and of a value with its score. */
export function scoreWidth(mixer: MixerHeads): number {
  const { q, out } = qkvWidths(mixer);
  return q + out;
}

/** Width of what a latent mixer projects a position to: the latents of queries and of keys and values, and a key's turned part, which all heads share. */
export const latentWidth = ({ latent, positions }: Mixer): number =>
  latent === null ? 0 : latent.qRank + latent.kvRank + (positions.kind === 'rotary' ? positions.dim : 0);

/** Weights of a mixer's products: to queries, keys and values, and back. */
export function projectionWeights(mixer: Mixer, dModel: number): number {
  const { heads, latent, headDim, valueDim } = mixer;
  const { all, out } = qkvWidths(mixer);
  if (latent === null) return (all + out) * dModel;
  const rotary = latentWidth(mixer) - latent.qRank - latent.kvRank;
  const up = latent.qRank * headDim + latent.kvRank * (headDim - rotary + valueDim);
  return (latentWidth(mixer) + out) * dModel + heads * up;
}

/**
 * A block that can be computed.
 *
 * @throws {NotBuiltError} TROUPE_NOT_BUILT for a kind of mixer that is named here and not built
 */
export function builtBlock(block: Block): Block {
  const { scope, latent } = block.mixer;
  if (scope.kind === 'windowed')
    throw new NotBuiltError(`the windowed mixer of block ${block.index}`, 'use causal attention');
  if (latent !== null)
    throw new NotBuiltError(`the latent mixer of block ${block.index}`, 'use attention without latents');
  return block;
}
