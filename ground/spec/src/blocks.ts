import { assert, NotBuiltError } from '@troupe/core';
import type { Activation, NormKind } from '@troupe/kernel-set';
import type { ModelConfig, MoeConfig } from './model-config.ts';

/** How queries and keys know where they stand. */
export type PositionCode = { readonly kind: 'rotary'; readonly theta: number } | { readonly kind: 'none' };

/** What a position sees, and where its keys and values come from. */
export type MixerScope =
  /** Itself and everything before it in its document. */
  | { readonly kind: 'causal' }
  /** The last `window` positions, itself among them. */
  | { readonly kind: 'windowed'; readonly window: number }
  /** All positions of its document. */
  | { readonly kind: 'bidirectional' }
  /** All positions of another stream: the memory of an encoder. */
  | { readonly kind: 'cross'; readonly reads: string };

/** The part of a block that mixes positions. */
export interface Mixer {
  readonly scope: MixerScope;
  readonly heads: number;
  /** Heads of keys and values; each serves heads / kvHeads query heads. */
  readonly kvHeads: number;
  readonly headDim: number;
  /** Norm of queries and keys: none, per head, or over the full width of the projection. */
  readonly qkNorm: 'none' | 'head' | 'full';
  readonly positions: PositionCode;
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

/** x + mixer(norm(x)), then x + ffn(norm(x)): one layer of one stream of rows. */
export interface Block {
  /** Position in the model, 0-based; parameters are named by it. */
  readonly index: number;
  /** Blocks of one stream follow each other; only `cross` reads another stream. */
  readonly stream: string;
  /** Of both norms. */
  readonly norm: { readonly kind: NormKind; readonly eps: number };
  readonly mixer: Mixer;
  readonly ffn: FeedForward;
}

/** The one stream of a decoder-only model. */
export const DECODER_STREAM = 'decoder';

function feedForward({ ffn: { activation, dFf }, moe }: ModelConfig, index: number): FeedForward {
  if (moe === null || (index + 1) % moe.every !== 0) return { kind: 'dense', activation, hidden: dFf };
  return {
    kind: 'moe',
    activation,
    hidden: moe.dExpert,
    sharedHidden: moe.sharedExperts * moe.dExpert,
    moe,
  };
}

/** Block `index` of a model. A decoder-only model is one stream of causal blocks. */
export function blockOf(config: ModelConfig, index: number): Block {
  assert(index >= 0 && index < config.layers, 'a block belongs to the model', {
    index,
    blocks: config.layers,
  });
  const { heads, kvHeads, headDim, qkNorm, rope } = config;
  return {
    index,
    stream: DECODER_STREAM,
    norm: config.norm,
    mixer: {
      scope: { kind: 'causal' },
      heads,
      kvHeads,
      headDim,
      qkNorm,
      positions: { kind: 'rotary', theta: rope.theta },
    },
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

/** Query, key and value widths of the fused projection, in elements. */
export function qkvWidths({ heads, kvHeads, headDim }: Pick<Mixer, 'heads' | 'kvHeads' | 'headDim'>): {
  readonly q: number;
  readonly k: number;
  readonly v: number;
  readonly all: number;
} {
  const q = heads * headDim;
  const k = kvHeads * headDim;
  return { q, k, v: k, all: q + 2 * k };
}

/**
 * A block that can be computed.
 *
 * @throws {NotBuiltError} TROUPE_NOT_BUILT for a kind of mixer or position code that is named here and not built
 */
export function builtBlock(block: Block): Block {
  const { scope, positions } = block.mixer;
  if (scope.kind !== 'causal')
    throw new NotBuiltError(`the ${scope.kind} mixer of block ${block.index}`, 'use causal attention');
  if (positions.kind !== 'rotary')
    throw new NotBuiltError(`block ${block.index} without a position code`, 'use rotary positions');
  return block;
}
