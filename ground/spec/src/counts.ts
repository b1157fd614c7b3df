import { blocksOf, moeLayers, qkvWidths } from './blocks.ts';
import type { ModelConfig } from './model-config.ts';
import { denseUnits, expertUnit, type Unit } from './parameters.ts';

export interface ParameterCounts {
  readonly total: number;
  /** Parameters that take part in one token's forward pass. */
  readonly active: number;
  /** Of the active ones, those inside matrix products: not the embedding's lookup, not norms. */
  readonly activeMatmul: number;
  readonly dense: number;
  readonly expert: number;
}

const sizeOf = (units: readonly Unit[]): number => units.reduce((sum, unit) => sum + unit.size, 0);

/** Parameter counts by formula; padding is not counted. */
export function parameterCounts(config: ModelConfig): ParameterCounts {
  const units = denseUnits(config);
  const dense = sizeOf(units);
  const layers = moeLayers(config);
  const perExpert = layers[0] === undefined ? 0 : expertUnit(config, layers[0], 0).size;
  const moe = config.moe;
  const expert = moe === null ? 0 : layers.length * moe.experts * perExpert;
  const activeExpert = moe === null ? 0 : layers.length * moe.topK * perExpert;
  const isMatrix = (unit: Unit): boolean =>
    unit.parameters.every((p) => p.shape.length === 2) && unit.id !== 'embed';
  const head = config.tiedHead ? config.vocab * config.dModel : 0;
  const activeMatmul = sizeOf(units.filter(isMatrix)) + head + activeExpert;
  return { total: dense + expert, active: dense + activeExpert, activeMatmul, dense, expert };
}

/**
 * Training FLOPs of one token: 6 per active matmul weight, plus the attention scores over the full square.
 *
 * @see Chowdhery et al. 2022 (PaLM), appendix B
 */
export function trainingFlopsPerToken(config: ModelConfig): number {
  const scores = blocksOf(config).map(({ mixer }) => 12 * qkvWidths(mixer).q * config.seqLen);
  return 6 * parameterCounts(config).activeMatmul + scores.reduce((sum, each) => sum + each, 0);
}
