import type { Floats, Halves } from '@troupe/kernel-set';
import { crossMixerOf, eachSegment } from '@troupe/spec';
import type { Arena } from './arena.ts';
import { streamShape, tensorShareOf, tokensOf, type StageShape } from './stage-shape.ts';
import { noSum, sumBuffers, type SumBuffers } from './sum-buffers.ts';
import { headsOfSegment, isWhole, numHeld } from './tensor-share.ts';

/** Some heads of a block that reads a memory. S = rows of the memory, W = key + value widths. */
export interface CrossSegment {
  readonly q_TQ: Floats;
  readonly kv_SW: Floats;
  readonly attention_TQ: Floats;
  readonly lse_TH: Floats;
}

/** How one block reads the memory. */
export interface CrossActivations {
  /** The residual stream behind attention. */
  readonly before_TD: Floats;
  /** Read by products alone, so kept in their precision. */
  readonly normed_TD: Floats | Halves;
  readonly stats: Floats;
  readonly segments: readonly CrossSegment[];
}

/** One set for all blocks. */
export interface CrossGradients {
  /** Segments are computed one after the other, so they have these together. */
  readonly dQ_TQ: Floats;
  readonly dKv_SW: Floats;
  /** Parts of dNormed, and of the gradient of the memory; none where matrices are whole. */
  readonly sum: SumBuffers;
  readonly memorySum: SumBuffers;
}

const headsOf = (shape: StageShape) =>
  headsOfSegment(crossMixerOf(shape.config), tensorShareOf(shape).segments.count);

/** Rows of the memory of a microbatch. */
const memoryTokens = (shape: StageShape): number => tokensOf(streamShape(shape, 'encoder'));

/** Of one block of a decoder; null: it has no encoder. */
export function crossActivations(arena: Arena, shape: StageShape): CrossActivations | null {
  const { config } = shape;
  if (config.encoder === null) return null;
  const [T, S] = [tokensOf(shape), memoryTokens(shape)];
  const { heads, widths } = headsOf(shape);
  return {
    before_TD: arena.floats(T * config.dModel),
    normed_TD: arena.operands(T * config.dModel, shape.precision),
    stats: arena.floats(T * (config.norm.kind === 'layer' ? 2 : 1)),
    segments: eachSegment(tensorShareOf(shape).segments).map(() => ({
      q_TQ: arena.floats(T * widths.q),
      kv_SW: arena.floats(S * (widths.k + widths.v)),
      attention_TQ: arena.floats(T * widths.out),
      lse_TH: arena.floats(T * heads),
    })),
  };
}

/** What segments of all blocks add up to when they read a memory, [T, D]. */
export function crossSum(arena: Arena, shape: StageShape): SumBuffers {
  const tensor = tensorShareOf(shape);
  if (shape.config.encoder === null || isWhole(tensor)) return noSum;
  const size = tokensOf(shape) * shape.config.dModel;
  const [sum = noSum] = sumBuffers(arena, { peers: tensor.peers, held: numHeld(tensor.segments) }, size);
  return sum;
}

/** Of one microbatch; null: there is no encoder. */
export function crossGradients(arena: Arena, shape: StageShape): CrossGradients | null {
  const { config } = shape;
  if (config.encoder === null) return null;
  const [T, S] = [tokensOf(shape), memoryTokens(shape)];
  const tensor = tensorShareOf(shape);
  const { widths } = headsOf(shape);
  const held = { peers: tensor.peers, held: numHeld(tensor.segments) };
  const [memorySum = noSum] = isWhole(tensor) ? [] : sumBuffers(arena, held, S * config.dModel);
  return {
    dQ_TQ: arena.floats(T * widths.q),
    dKv_SW: arena.floats(S * (widths.k + widths.v)),
    sum: crossSum(arena, shape),
    memorySum,
  };
}
