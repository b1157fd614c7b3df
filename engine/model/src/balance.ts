import { assert, NotBuiltError } from '@troupe/core';
import { streamOf, type MoeConfig, type ModelConfig, type StreamName } from '@troupe/spec';
import { lossValue, type LayerStatistics } from './statistics.ts';
import type { Streams } from './streams.ts';

/** Choices of each expert of a layer. */
type LayerCounts = Pick<LayerStatistics, 'layer' | 'counts_E'>;

/** The batch of one optimizer step, over all replicas and microbatches. */
export interface GlobalBatch {
  readonly sequences: number;
  /** Tokens that are not padding. */
  readonly tokens: number;
  /** Balance domains that are not padding alone; of interest to the scope `domain`. */
  readonly domains: number;
}

/** The same of each stream. */
export type GlobalStreams = Streams<GlobalBatch>;

export interface BalanceLosses {
  /** Weighted by its coefficient and summed over layers (pooled: once). */
  readonly auxLoss: number;
  /** Weighted by its coefficient and summed over layers. */
  readonly zLoss: number;
}

/** What {@link gateBackward} needs; `fractions(layer)` is null when each sequence's own are meant. */
export interface BalanceCoefficients {
  readonly auxScale: number;
  readonly zScale: number;
  readonly fractions: (layer: number) => Float64Array | null;
}

/**
 * The scopes that exist: pooled sequences would need per-sequence means of all layers on one stage, and are not built.
 *
 * @throws {NotBuiltError} TROUPE_NOT_BUILT
 */
export function checkBalance(config: ModelConfig): void {
  if (config.moe === null || config.moe.balance.auxLoss === 0) return;
  const { scope, layers } = config.moe.balance;
  if (scope !== 'global' && layers === 'pooled') {
    throw new NotBuiltError(`balance of pooled layers within a ${scope}`, 'use scope global, or layers each');
  }
}

/** Groups over which the loss of a scope is a mean; null: the tokens of the batch are one group. */
function numGroups({ balance }: MoeConfig, { sequences, domains }: GlobalBatch): number | null {
  if (balance.scope === 'global') return null;
  return balance.scope === 'sequence' ? sequences : domains;
}

const sum = (values: Iterable<number>): number => {
  let total = 0;
  for (const value of values) total += value;
  return total;
};

/** f_e: choices of e over (tokens · K), of one layer or of several together. */
function fractionsOf(layers: readonly LayerCounts[], moe: MoeConfig, tokens: number): Float64Array {
  const choices = layers.length * tokens * moe.topK;
  return Float64Array.from({ length: moe.experts }, (_, expert) =>
    choices === 0 ? 0 : sum(layers.map(({ counts_E }) => counts_E[expert] ?? 0)) / choices,
  );
}

/** E · Σ f_e·p_e over the tokens of these layers together: 1 at perfect balance, E at collapse. */
function imbalance(layers: readonly LayerStatistics[], moe: MoeConfig, tokens: number): number {
  if (tokens === 0 || layers.length === 0) return 0;
  const fractions = fractionsOf(layers, moe, tokens);
  const products = Array.from(fractions, (fraction, expert) => {
    const probability = sum(layers.map(({ probSums_E }) => lossValue(probSums_E, expert)));
    return (fraction * probability) / (layers.length * tokens);
  });
  return moe.experts * sum(products);
}

/**
 * Balance and z-loss of a step from exact sums over the global batch, one entry per MoE layer of the model.
 *
 * @see Fedus et al. 2021 (Switch), arXiv:2101.03961, eq. 4–6; Zoph et al. 2022 (ST-MoE), arXiv:2202.08906, eq. 5 for z
 * @throws {NotBuiltError} TROUPE_NOT_BUILT
 */
export function balanceLosses(
  config: ModelConfig,
  layers: readonly LayerStatistics[],
  global: GlobalBatch,
): BalanceLosses {
  checkBalance(config);
  const { moe } = config;
  if (moe === null) return { auxLoss: 0, zLoss: 0 };
  const { balance } = moe;
  const groups = numGroups(moe, global);
  const perLayer = layers.map((layer) =>
    groups !== null && groups > 0
      ? lossValue(layer.lossSums, 0) / groups
      : imbalance([layer], moe, global.tokens),
  );
  const balanced = balance.layers === 'pooled' ? imbalance(layers, moe, global.tokens) : sum(perLayer);
  const squares = sum(layers.map((layer) => lossValue(layer.lossSums, 1)));
  // A loss that is switched off is 0, whatever became of its sums.
  return {
    auxLoss: balance.auxLoss === 0 ? 0 : balance.auxLoss * balanced,
    zLoss: balance.zLoss === 0 || global.tokens === 0 ? 0 : (balance.zLoss * squares) / global.tokens,
  };
}

/**
 * Gradient coefficients that belong to {@link balanceLosses}.
 *
 * @param layers - needed for scope `global`: the sums of all MoE layers over the global batch
 * @throws {NotBuiltError} TROUPE_NOT_BUILT
 */
export function balanceCoefficients(
  config: ModelConfig,
  global: GlobalBatch,
  layers: readonly LayerCounts[] = [],
): BalanceCoefficients {
  checkBalance(config);
  const { moe } = config;
  assert(moe !== null, 'balance needs a model with experts');
  const { auxLoss, zLoss } = moe.balance;
  const zScale = global.tokens === 0 ? 0 : zLoss / global.tokens;
  const groups = numGroups(moe, global);
  if (groups !== null || auxLoss === 0) {
    return {
      auxScale: groups === null || groups === 0 ? 0 : auxLoss / groups,
      zScale,
      fractions: () => null,
    };
  }
  const pooled = moe.balance.layers === 'pooled';
  const divisor = global.tokens * (pooled ? layers.length : 1);
  return {
    auxScale: divisor === 0 ? 0 : auxLoss / divisor,
    zScale,
    fractions: (layer) =>
      fractionsOf(pooled ? layers : layers.filter((each) => each.layer === layer), moe, global.tokens),
  };
}

/** {@link balanceLosses} of each stream over its own layers, added. @throws {NotBuiltError} TROUPE_NOT_BUILT */
export function streamLosses(
  config: ModelConfig,
  layers: readonly LayerStatistics[],
  { decoder, encoder }: GlobalStreams,
): BalanceLosses {
  const of = (stream: StreamName, global: GlobalBatch): BalanceLosses =>
    balanceLosses(config, layersOfStream(config, layers, stream), global);
  const last = of('decoder', decoder);
  if (encoder === null) return last;
  const first = of('encoder', encoder);
  return { auxLoss: first.auxLoss + last.auxLoss, zLoss: first.zLoss + last.zLoss };
}

/** {@link balanceCoefficients} of each stream. @throws {NotBuiltError} TROUPE_NOT_BUILT */
export const streamCoefficients = (
  config: ModelConfig,
  { decoder, encoder }: GlobalStreams,
  layers: readonly LayerCounts[] = [],
): Streams<BalanceCoefficients> => ({
  decoder: balanceCoefficients(config, decoder, layersOfStream(config, layers, 'decoder')),
  encoder:
    encoder === null ? null : balanceCoefficients(config, encoder, layersOfStream(config, layers, 'encoder')),
});

const layersOfStream = <L extends LayerCounts>(
  config: ModelConfig,
  layers: readonly L[],
  stream: StreamName,
): readonly L[] => layers.filter(({ layer }) => streamOf(config, layer) === stream);
