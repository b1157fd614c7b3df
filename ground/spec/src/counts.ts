import { meanChoices } from './expert-choice.ts';
import { blocksOf, isMoeLayer, moeLayers, scoreWidth, seqLenOf, type Block } from './blocks.ts';
import type { ModelConfig } from './model-config.ts';
import { denseUnits, expertUnit, isPositionTable, type Unit } from './parameters.ts';

export interface ParameterCounts {
  readonly total: number;
  /** Parameters that take part in one token's forward pass. */
  readonly active: number;
  /** Of the active ones, those inside matrix products: not the embedding's lookup, not norms. */
  readonly activeMatmul: number;
  /** Of the active ones, the embedding's table unless it is the head too: a token takes one row, so DeepSeek does not count it as active. */
  readonly lookup: number;
  readonly dense: number;
  readonly expert: number;
}

const sizeOf = (units: readonly Unit[]): number => units.reduce((sum, unit) => sum + unit.size, 0);

/** Multiplied with every token: lookups are none, and norms are none. */
const isMatrix = (unit: Unit): boolean =>
  unit.parameters.every((p) => p.shape.length === 2) && unit.id !== 'embed' && !isPositionTable(unit);

/** Parameters of one routed expert. */
function expertSize(config: ModelConfig): number {
  const layer = moeLayers(config)[0];
  return layer === undefined ? 0 : expertUnit(config, layer, 0).size;
}

/** Parameter counts by formula; padding is not counted. */
export function parameterCounts(config: ModelConfig): ParameterCounts {
  const units = denseUnits(config);
  const dense = sizeOf(units);
  const layers = moeLayers(config);
  const perExpert = expertSize(config);
  const moe = config.moe;
  const expert = moe === null ? 0 : layers.length * moe.experts * perExpert;
  const activeExpert = moe === null ? 0 : layers.length * meanChoices(moe) * perExpert;
  const head = config.tiedHead ? config.vocab * config.dModel : 0;
  const activeMatmul = sizeOf(units.filter(isMatrix)) + head + activeExpert;
  const lookup = config.tiedHead ? 0 : config.vocab * config.dModel;
  return { total: dense + expert, active: dense + activeExpert, activeMatmul, lookup, dense, expert };
}

/** Tokens of a block's stream that a sequence has for each token of the decoder, whose tokens FLOPs are counted by. */
export const tokensBeside = (config: ModelConfig, block: number): number =>
  seqLenOf(config, block) / config.seqLen;

/** FLOPs of the attention scores of a block for one token of the decoder, over the full square. */
function scoreFlops(config: ModelConfig, { index, mixer, cross }: Block): number {
  const own = 6 * scoreWidth(mixer) * seqLenOf(config, index) * tokensBeside(config, index);
  return own + (cross === null ? 0 : 6 * scoreWidth(cross) * seqLenOf(config, 0));
}

/**
 * Training FLOPs of one token, of every block and of the head: 6 per active matmul weight, plus the attention scores over the full square.
 * Of an encoder–decoder the token is the decoder's, and what the encoder does for a sequence is shared among its tokens.
 *
 * @see Chowdhery et al. 2022 (PaLM), appendix B
 */
export function trainingFlopsByBlock(config: ModelConfig): {
  readonly blocks: readonly number[];
  readonly head: number;
} {
  const perExpert = expertSize(config);
  const blocks = blocksOf(config).map(
    (block) =>
      scoreFlops(config, block) +
      (config.moe !== null && isMoeLayer(config, block.index)
        ? 6 * perExpert * meanChoices(config.moe) * tokensBeside(config, block.index)
        : 0),
  );
  let head = config.tiedHead ? 6 * config.vocab * config.dModel : 0;
  for (const unit of denseUnits(config).filter(isMatrix)) {
    if (unit.layer === null) head += 6 * unit.size;
    else {
      // Keys and values of a cross attention are made of the source's tokens.
      const rows = unit.id.includes('/cross-kv') ? tokensBeside(config, 0) : tokensBeside(config, unit.layer);
      blocks[unit.layer] = (blocks[unit.layer] ?? 0) + 6 * unit.size * rows;
    }
  }
  return { blocks, head };
}

/** Of the whole model. */
export function trainingFlopsPerToken(config: ModelConfig): number {
  const { blocks, head } = trainingFlopsByBlock(config);
  return blocks.reduce((sum, each) => sum + each, head);
}
