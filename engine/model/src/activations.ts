import { assert } from '@troupe/core';
import {
  hiddenInputs,
  type Device,
  type Floats,
  type Halves,
  type Ints,
  type Precision,
} from '@troupe/kernel-set';
import { blockOf, builtBlock, qkvWidths, type MoeConfig } from '@troupe/spec';
import { contiguousRanks, ExpertRanks } from './expert-ranks.ts';
import { RankShares } from './rank-shares.ts';
import { checkShape, rowBounds, tokensOf, type StageShape } from './stage-shape.ts';

export interface ActivationOptions {
  /** True: every layer keeps what its backward pass reads. False: all layers share one set of buffers. */
  readonly training: boolean;
  /** Ranks of the expert-parallel group that the gates send to; default 1. */
  readonly ranks?: number;
  /** Which of them has each expert of a layer, [E]; default: equally many each, in order. The same array for layers that agree. */
  readonly rankOf_E?: (layer: number) => Int32Array;
  /** The stage's layers, [first, first + count); default all. */
  readonly layers?: { readonly first: number; readonly count: number };
  /** True when the stage ends with the model's head; default: when it holds the last layer. */
  readonly head?: boolean;
  /** Gradients of another microbatch, whose buffers this one uses too: no backward passes of the two overlap. Default: own ones. */
  readonly gradients?: GradientActivations;
}

/** Routing of one MoE layer: what `gateForward` writes and everything after reads. N ≤ T·K routed rows, R ranks. */
export interface MoeActivations {
  readonly logits_TE: Floats;
  readonly probs_TE: Floats;
  readonly choices_TK: Ints;
  readonly weights_TK: Floats;
  readonly fractions_BE: Floats;
  /** Fractions of the global batch, for the balance scope `global` (else empty). */
  readonly fractions_E: Floats;
  readonly counts_EG: Ints;
  readonly position_TK: Ints;
  readonly slots_N: Ints;
  readonly choiceOfRow_N: Ints;
  readonly rankTokens: Ints;
  readonly shares: RankShares;
  /** Combine weight of each sorted row. */
  readonly rowWeights_N: Floats;
  /** Sorted row → token of the microbatch; filled by `expertSource` when some token has no expert. */
  readonly tokens_N: Ints;
  /** Distinct tokens by rank, one rank's after the other's, [min(R, K)·T, D]; empty when R = 1 and nothing is rounded. */
  readonly packed_UD: Floats;
  /** Expert outputs in sorted-row order, [T·K, D]; kept until `combineBackward`. */
  readonly returned_ND: Floats;
}

/** One layer. W = query + key + value widths, Q = query width. */
export interface LayerActivations {
  /** Read by products alone, so kept in their precision. */
  readonly normed1_TD: Floats | Halves;
  readonly stats1: Floats;
  /** Without query/key norm turned in place by rope; with it as projected. */
  readonly qkv_TW: Floats;
  /** Normed and turned queries and keys, [T, q + k]; null without query/key norm. */
  readonly qk: Floats | null;
  readonly qStats: Floats;
  readonly kStats: Floats;
  readonly attention_TQ: Floats;
  readonly lse_TH: Floats;
  readonly mid_TD: Floats;
  readonly normed_TD: Floats;
  readonly stats2: Floats;
  /** Pre-activations of the dense FFN or the shared experts; null at inference or where neither exists. */
  readonly ffnSaved: Floats | Halves | null;
  readonly moe: MoeActivations | null;
}

/** Gradients of one microbatch, one set for all layers: a layer's backward pass ends before the next begins. */
export interface GradientActivations {
  readonly dHidden_TD: Floats;
  readonly dNormed_TD: Floats;
  readonly dAttention_TQ: Floats;
  readonly dQkv_TW: Floats;
  readonly dQk: Floats | null;
  readonly dLogits_TE: Floats;
  readonly dWeights_TK: Floats;
  /** Rows of dHidden by rank, as `packed_UD`. */
  readonly dPacked_UD: Floats;
  /** Gradients of the routed rows' inputs in sorted-row order, [T·K, D]. */
  readonly dReturned_ND: Floats;
}

/** Allocates and counts. */
class Arena {
  bytes = 0;
  readonly #device: Device;

  constructor(device: Device) {
    this.#device = device;
  }

  floats(length: number): Floats {
    this.bytes += length * (this.#device.info.dtype === 'f64' ? 8 : 4);
    return this.#device.floats(length);
  }

  /** Storage in the precision of the products. */
  operands(length: number, precision: Precision | undefined): Floats | Halves {
    if (precision !== 'bf16') return this.floats(length);
    this.bytes += length * 2;
    return this.#device.halves(length);
  }

  ints(length: number): Ints {
    this.bytes += length * 4;
    return this.#device.ints(length);
  }

  shares(ranks: number): RankShares {
    return new RankShares(this.#device, this.ints(ranks), this.ints(ranks));
  }
}

/** Room for the rows of all ranks; one rank gets all rows as they are, unless they are rounded. */
function packedLength(shape: StageShape, topK: number, ranks: number): number {
  if (ranks === 1 && (shape.rowFormat ?? 'f32') === 'f32') return 0;
  return Math.min(ranks, topK) * tokensOf(shape) * shape.config.dModel;
}

function moeActivations(arena: Arena, shape: StageShape, moe: MoeConfig, ranks: number): MoeActivations {
  const T = tokensOf(shape);
  const D = shape.config.dModel;
  const { experts: E, topK: K } = moe;
  return {
    logits_TE: arena.floats(T * E),
    probs_TE: arena.floats(T * E),
    choices_TK: arena.ints(T * K),
    weights_TK: arena.floats(T * K),
    fractions_BE: arena.floats(shape.sequences * E),
    fractions_E: arena.floats(moe.balance.scope === 'global' ? E : 0),
    counts_EG: arena.ints(E * shape.grains),
    position_TK: arena.ints(T * K),
    slots_N: arena.ints(T * K),
    choiceOfRow_N: arena.ints(T * K),
    rankTokens: arena.ints(ranks * T),
    shares: arena.shares(ranks),
    rowWeights_N: arena.floats(T * K),
    tokens_N: arena.ints(ranks === 1 ? T * K : 0),
    packed_UD: arena.floats(packedLength(shape, moe.topK, ranks)),
    returned_ND: arena.floats(T * K * D),
  };
}

function layerActivations(arena: Arena, shape: StageShape, options: LayerOptions): LayerActivations {
  const { config } = shape;
  const T = tokensOf(shape);
  const D = config.dModel;
  const widths = qkvWidths(config);
  const moments = config.norm.kind === 'layer' ? 2 : 1;
  const qkNorm = config.qkNorm !== 'none';
  const groups = config.qkNorm === 'head' ? { q: config.heads, k: config.kvHeads } : { q: 1, k: 1 };
  const { saves, moe, ranks } = options;
  const ffnHidden = moe === null ? config.ffn.dFf : moe.sharedExperts * moe.dExpert;
  return {
    normed1_TD: arena.operands(T * D, shape.precision),
    stats1: arena.floats(T * moments),
    qkv_TW: arena.floats(T * widths.all),
    qk: qkNorm ? arena.floats(T * (widths.q + widths.k)) : null,
    qStats: arena.floats(qkNorm ? T * groups.q : 0),
    kStats: arena.floats(qkNorm ? T * groups.k : 0),
    attention_TQ: arena.floats(T * widths.q),
    lse_TH: arena.floats(T * config.heads),
    mid_TD: arena.floats(T * D),
    normed_TD: arena.floats(T * D),
    stats2: arena.floats(T * moments),
    ffnSaved:
      saves && ffnHidden > 0
        ? arena.operands(T * hiddenInputs(config.ffn.activation) * ffnHidden, shape.precision)
        : null,
    moe: moe === null ? null : moeActivations(arena, shape, moe, ranks),
  };
}

interface LayerOptions {
  readonly saves: boolean;
  readonly moe: MoeConfig | null;
  readonly ranks: number;
}

function gradientActivations(arena: Arena, shape: StageShape, ranks: number): GradientActivations {
  const { config } = shape;
  const T = tokensOf(shape);
  const D = config.dModel;
  const widths = qkvWidths(config);
  const E = config.moe?.experts ?? 0;
  const K = config.moe?.topK ?? 0;
  return {
    dHidden_TD: arena.floats(T * D),
    dNormed_TD: arena.floats(T * D),
    dAttention_TQ: arena.floats(T * widths.q),
    dQkv_TW: arena.floats(T * widths.all),
    dQk: config.qkNorm === 'none' ? null : arena.floats(T * (widths.q + widths.k)),
    dLogits_TE: arena.floats(T * E),
    dWeights_TK: arena.floats(T * K),
    dPacked_UD: arena.floats(packedLength(shape, K, ranks)),
    dReturned_ND: arena.floats(T * K * D),
  };
}

/**
 * Every buffer of one microbatch in flight, allocated once and reused in every step.
 *
 * ACT-1: nothing is allocated on the device in a steady step. ACT-2: with `training`, everything a backward pass reads
 * stays until that pass ran; without, all layers share one set, so only the newest layer can be looked at.
 *
 * @throws {StageShapeError} TROUPE_MODEL_SHAPE when grains do not divide sequences, or ranks do not divide experts
 */
export class Activations {
  readonly device: Device;
  readonly shape: StageShape;
  readonly training: boolean;
  readonly ranks: number;
  readonly firstLayer: number;
  readonly numLayers: number;
  readonly tokens: number;
  readonly precision: Precision;
  /** G+1 row bounds of the grains. */
  readonly grainStarts: Ints;
  /** B+1 row bounds of the sequences. */
  readonly groupStarts: Ints;
  /** Rows of each grain: the counts of a dense FFN, which is one expert that every row visits. */
  readonly grainCounts: Ints;
  /** After the last norm; empty when the stage has no head. */
  readonly finalNormed_TD: Floats | Halves;
  readonly finalStats: Floats;
  readonly loss_T: Floats;
  /** Bytes of all buffers. */
  readonly bytes: number;
  readonly #hidden: readonly Floats[];
  readonly #layers: readonly LayerActivations[];
  readonly #gradients: GradientActivations | null;
  #travelling_UD: Halves | null = null;
  readonly #rankOf_E: (layer: number) => Int32Array;
  readonly #expertRanks = new Map<Int32Array, ExpertRanks>();

  constructor(device: Device, shape: StageShape, options: ActivationOptions) {
    checkShape(shape);
    const { config } = shape;
    const { training, ranks = 1, layers = { first: 0, count: config.layers } } = options;
    const head = options.head ?? layers.first + layers.count === config.layers;
    if (options.rankOf_E === undefined) {
      const contiguous = contiguousRanks(config.moe?.experts ?? ranks, ranks);
      this.#rankOf_E = () => contiguous;
    } else this.#rankOf_E = options.rankOf_E;
    const arena = new Arena(device);
    const T = tokensOf(shape);
    this.device = device;
    this.shape = shape;
    this.training = training;
    this.ranks = ranks;
    this.firstLayer = layers.first;
    this.numLayers = layers.count;
    this.tokens = T;
    this.precision = shape.precision ?? 'f32';
    this.grainStarts = device.upload(rowBounds(T, shape.grains));
    this.groupStarts = device.upload(rowBounds(T, shape.sequences));
    this.grainCounts = device.upload(new Int32Array(shape.grains).fill(T / shape.grains));
    this.#hidden = Array.from({ length: training ? layers.count + 1 : 1 }, () =>
      arena.floats(T * config.dModel),
    );
    const layerIndices = Array.from({ length: layers.count }, (_, index) => layers.first + index);
    const moeOf = (layer: number): MoeConfig | null => {
      const { ffn } = builtBlock(blockOf(config, layer));
      return ffn.kind === 'moe' ? ffn.moe : null;
    };
    if (training) {
      this.#layers = layerIndices.map((layer) =>
        layerActivations(arena, shape, { saves: true, moe: moeOf(layer), ranks }),
      );
    } else {
      const [moe = null] = layerIndices.map(moeOf).filter((each) => each !== null);
      this.#layers = [layerActivations(arena, shape, { saves: false, moe, ranks })];
    }
    this.finalNormed_TD = arena.operands(head ? T * config.dModel : 0, shape.precision);
    this.finalStats = arena.floats(head ? T * (config.norm.kind === 'layer' ? 2 : 1) : 0);
    this.loss_T = arena.floats(head ? T : 0);
    this.#gradients = training ? (options.gradients ?? gradientActivations(arena, shape, ranks)) : null;
    this.bytes = arena.bytes;
  }

  /** Input of layer `layer`, [T, D]; of layer first + count: the stage's output. */
  hidden(layer: number): Floats {
    const index = layer - this.firstLayer;
    assert(index >= 0 && index <= this.numLayers, 'the layer belongs to the stage', { layer });
    const hidden = this.#hidden[this.training ? index : 0];
    assert(hidden !== undefined, 'every layer has its input', { layer });
    return hidden;
  }

  layer(layer: number): LayerActivations {
    const index = layer - this.firstLayer;
    assert(index >= 0 && index < this.numLayers, 'the layer belongs to the stage', { layer });
    const activations = this.#layers[this.training ? index : 0];
    assert(activations !== undefined, 'every layer has its activations', { layer });
    return activations;
  }

  moe(layer: number): MoeActivations {
    const { moe } = this.layer(layer);
    const { ffn } = blockOf(this.shape.config, layer);
    assert(moe !== null && ffn.kind === 'moe', 'only blocks with experts route', { layer });
    return moe;
  }

  /** Rows in bf16 on their way to experts elsewhere, by rank as in `packed_UD`; of one layer at a time. Made when the first leave. */
  get travelling_UD(): Halves {
    this.#travelling_UD ??= this.device.halves(
      packedLength(this.shape, this.shape.config.moe?.topK ?? 0, this.ranks),
    );
    return this.#travelling_UD;
  }

  /** Which rank has which experts of a layer. */
  expertRanks(layer: number): ExpertRanks {
    const rankOf_E = this.#rankOf_E(layer);
    let found = this.#expertRanks.get(rankOf_E);
    if (found === undefined) {
      found = new ExpertRanks(this.device, rankOf_E, this.ranks);
      this.#expertRanks.set(rankOf_E, found);
    }
    return found;
  }

  get gradients(): GradientActivations {
    assert(this.#gradients !== null, 'activations for inference hold no gradients');
    return this.#gradients;
  }
}
