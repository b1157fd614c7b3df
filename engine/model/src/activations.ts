import { assert } from '@troupe/core';
import type { Device, Floats, Halves, Int64s, Ints, Precision } from '@troupe/kernel-set';
import { blockOf, type MoeConfig } from '@troupe/spec';
import { Arena } from './arena.ts';
import { choiceBuffers, type ChoiceBuffers } from './choice-buffers.ts';
import { contiguousRanks, ExpertRanks } from './expert-ranks.ts';
import { ownRuns } from './dealt-grains.ts';
import type { GrainRun } from './grain-runs.ts';
import { headActivations, type HeadActivations } from './head-activations.ts';
import {
  forwardSums,
  gradientActivations,
  layerActivations,
  travellingSums,
  packedLength,
  sharedLayers,
  type ForwardSums,
  type GradientActivations,
  type LayerActivations,
  type MoeActivations,
} from './layer-activations.ts';
import { normSums, type NormSums } from './norm-sums.ts';
import { rowPlaces, type RowPlace } from './row-places.ts';
import {
  balanceGroups,
  tensorShareOf,
  checkShape,
  rowBounds,
  tokensOf,
  type StageShape,
} from './stage-shape.ts';
import { type TensorShare } from './tensor-share.ts';

export interface ActivationOptions {
  /** True: every layer keeps what its backward pass reads. False: all layers share one set of buffers. */
  readonly training: boolean;
  /** Ranks of the expert-parallel group that the gates send to; default 1. */
  readonly ranks?: number;
  /** Which of them has each expert of a layer, [E]; default: equally many each, in order. The same array for layers that agree; another one once experts have moved. */
  readonly rankOf_E?: (layer: number) => Int32Array;
  /** Runs of grains whose rows this device sends to experts, planned and sent run by run ({@link RowChunk}); default: one of all grains. */
  readonly runs?: readonly GrainRun[];
  /** The stage's layers, [first, first + count), all of one stream; default all. */
  readonly layers?: { readonly first: number; readonly count: number };
  /** There are no layers: `hidden(first)` and its gradient only travel through. Default false. */
  readonly travelsThrough?: boolean;
  /** What travels through is embedded here. Default false. */
  readonly embeds?: boolean;
  /** True when the stage ends with the model's head; default: when it holds the last layer. */
  readonly head?: boolean;
  /**
   * With `training`: a layer keeps its input and where its rows went, and shares all other buffers with layers of its kind. Its backward pass
   * comes behind {@link layerAgain}. Default false.
   */
  readonly recompute?: boolean;
  /** With `recompute`: the rows of its experts, there and back, are the layer's own, since experts elsewhere keep theirs. Default false. */
  readonly keepsRows?: boolean;
  /** Gradients of another microbatch, whose buffers this one uses too: no backward passes of the two overlap. Default: own ones. */
  readonly gradients?: GradientActivations;
}

/**
 * Every buffer of one microbatch in flight, allocated once and reused in every step.
 *
 * ACT-1: nothing is allocated on the device in a steady step. ACT-2: with `training`, everything a backward pass reads
 * stays until that pass ran, or with `recompute` what it takes to compute it again (ACT-3); without, all layers share one set, so only the newest layer can be looked at.
 *
 * @throws {StageShapeError} TROUPE_MODEL_SHAPE when grains do not divide sequences, or ranks do not divide experts
 */
export class Activations {
  readonly device: Device;
  readonly shape: StageShape;
  readonly training: boolean;
  readonly recompute: boolean;
  readonly ranks: number;
  readonly runs: readonly GrainRun[];
  /** Room for the rows of each of them; none in a model without experts. */
  readonly rowPlaces: readonly RowPlace[];
  readonly firstLayer: number;
  readonly numLayers: number;
  readonly tokens: number;
  readonly precision: Precision;
  readonly tensor: TensorShare;
  readonly sums: ForwardSums;
  /** Of query and key norms over the full width; null: there are none that are divided. */
  readonly normSums: NormSums | null;
  /** What experts compare, one layer's at a time; null where tokens choose. */
  readonly choice: ChoiceBuffers | null;
  /** G+1 row bounds of the grains. */
  readonly grainStarts: Ints;
  /** Row bounds of the sequences, or of the domains in which experts are balanced. */
  readonly groupStarts: Ints;
  /** Rows of each grain: the counts of a dense FFN, which is one expert that every row visits. */
  readonly grainCounts: Ints;
  /** After the last norm; empty when the stage has no head. */
  readonly finalNormed_TD: Floats | Halves;
  readonly finalStats: Floats;
  /** What a norm makes of what routed experts add, one layer's at a time; empty where there is none. */
  readonly normedSum_TD: Floats;
  readonly loss_T: Floats;
  /** Gets the sum of the smoothed loss, which nobody reports; empty without smoothing. */
  readonly smoothedSum: Int64s;
  /** Null where the head is whole. */
  readonly headParts: HeadActivations | null;
  /** Bytes of all buffers. */
  readonly bytes: number;
  readonly #hidden: readonly Floats[];
  readonly #layers: readonly LayerActivations[];
  readonly #gradients: GradientActivations | null;
  #travelling_UD: Halves | null = null;
  readonly #rankOf_E: (layer: number) => Int32Array;
  readonly #expertRanks = new WeakMap<Int32Array, ExpertRanks>();

  constructor(device: Device, shape: StageShape, options: ActivationOptions) {
    checkShape(shape);
    const { config } = shape;
    const { training, ranks = 1, layers = { first: 0, count: config.layers }, recompute = false } = options;
    const { balance } = config.moe ?? {};
    assert(
      !training || balance?.scope !== 'domain' || shape.grains % balance.domain === 0,
      'balance domains are whole within a microbatch',
      { grains: shape.grains, domain: balance?.domain ?? 1 },
    );
    const { runs = ownRuns(shape, 1) } = options;
    const rows = { ranks, runs };
    const hasLayers = options.travelsThrough !== true;
    const crosses = layers.count > 0 && blockOf(config, layers.first).cross !== null;
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
    this.recompute = training && recompute;
    this.ranks = ranks;
    this.runs = runs;
    this.rowPlaces = config.moe === null || !hasLayers ? [] : rowPlaces(shape, config.moe, rows);
    this.firstLayer = layers.first;
    this.numLayers = layers.count;
    this.tokens = T;
    this.precision = shape.precision ?? 'f32';
    this.tensor = tensorShareOf(shape);
    this.sums = hasLayers ? forwardSums(arena, shape, crosses) : travellingSums(arena, shape, options);
    this.normSums = hasLayers ? normSums(arena, shape) : null;
    this.choice = hasLayers ? choiceBuffers(arena, shape) : null;
    this.grainStarts = device.upload(rowBounds(T, shape.grains));
    this.groupStarts = device.upload(rowBounds(T, balanceGroups(shape)));
    this.grainCounts = device.upload(new Int32Array(shape.grains).fill(T / shape.grains));
    this.#hidden = Array.from({ length: training ? layers.count + 1 : 1 }, () =>
      arena.floats(T * config.dModel),
    );
    const layerIndices = Array.from({ length: layers.count }, (_, index) => layers.first + index);
    const moeOf = (layer: number): MoeConfig | null => {
      const { ffn } = blockOf(config, layer);
      return ffn.kind === 'moe' ? ffn.moe : null;
    };
    if (training) {
      const each = layerIndices.map((layer) => ({ saves: true, moe: moeOf(layer), crosses, ...rows }));
      this.#layers = recompute
        ? sharedLayers(arena, shape, each, options.keepsRows ?? false)
        : each.map((layer) => layerActivations(arena, shape, layer));
    } else {
      const [moe = null] = layerIndices.map(moeOf).filter((each) => each !== null);
      this.#layers = hasLayers
        ? [layerActivations(arena, shape, { saves: false, moe, crosses, ...rows })]
        : [];
    }
    this.finalNormed_TD = arena.operands(head ? T * config.dModel : 0, shape.precision);
    this.finalStats = arena.floats(head ? T * (config.norm.kind === 'layer' ? 2 : 1) : 0);
    this.normedSum_TD = arena.floats(hasLayers && config.moe?.norm === true ? T * config.dModel : 0);
    this.loss_T = arena.floats(head ? T : 0);
    this.smoothedSum = arena.int64s(head && training && (shape.smoothing ?? 0) > 0 ? 2 : 0);
    this.headParts = head ? headActivations(arena, shape) : null;
    this.#gradients = training
      ? (options.gradients ?? gradientActivations(arena, shape, { ...rows, hasLayers, crosses }))
      : null;
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
    this.#travelling_UD ??= this.device.halves(packedLength(this.shape, this));
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
