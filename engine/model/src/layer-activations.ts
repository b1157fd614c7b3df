import { hiddenInputs, type Floats, type Halves, type Int64s, type Ints } from '@troupe/kernel-set';
import {
  choiceWidth,
  eachSegment,
  hasThresholds,
  mixerOf,
  rangeOfSegment,
  type MoeConfig,
} from '@troupe/spec';
import type { Arena } from './arena.ts';
import { ownTokens } from './dealt-grains.ts';
import type { GrainRun } from './grain-runs.ts';
import {
  latentActivations,
  latentGradients,
  type LatentActivations,
  type LatentGradients,
} from './latent-activations.ts';
import {
  crossActivations,
  crossGradients,
  crossSum,
  type CrossActivations,
  type CrossGradients,
} from './cross-activations.ts';
import { hasNormSums } from './norm-sums.ts';
import type { RankShares } from './rank-shares.ts';
import { rowPlaces } from './row-places.ts';
import { balanceGroups, tensorShareOf, tokensOf, type StageShape } from './stage-shape.ts';
import { noSum, sumBuffers, type SumBuffers } from './sum-buffers.ts';
import { headsOfSegment, isWhole, numHeld } from './tensor-share.ts';

/**
 * Where the rows of one MoE layer go: kept until its backward pass also where everything else is computed again. N ≤ T·K routed rows, R ranks.
 * Each chunk of the tokens has a part of every array ({@link RowChunk}).
 */
export interface RouteActivations {
  readonly choices_TK: Ints;
  /** Those of them that experts have room for; empty where none drops any. */
  readonly kept_TK: Ints;
  readonly fractions_BE: Floats;
  /** What the groups that are decided here add to the sums behind thresholds, by expert, and behind them their number, [E + 1]; null: there are none. */
  readonly thresholdSums: Int64s | null;
  /** Fractions of the global batch, for the balance scope `global` (else empty). */
  readonly fractions_E: Floats;
  readonly counts_EG: Ints;
  readonly position_TK: Ints;
  readonly slots_N: Ints;
  readonly choiceOfRow_N: Ints;
  readonly rankTokens: Ints;
  /** Of each chunk of the tokens. */
  readonly shares: readonly RankShares[];
  /** Sorted row → token of the microbatch; filled by `expertSource` when some token has no expert. */
  readonly tokens_N: Ints;
  /** What routed experts add to a token before its norm, and what that norm saves; null: there is none. */
  readonly normInput: { readonly sum_TD: Floats; readonly stats: Floats } | null;
}

/** Routing of one MoE layer: what `gateForward` writes and everything after reads. */
export interface MoeActivations extends RouteActivations {
  /** What the router reads in training; empty where that is the normed input itself. */
  readonly jittered_TD: Floats;
  readonly logits_TE: Floats;
  readonly probs_TE: Floats;
  readonly weights_TK: Floats;
  /** Combine weight of each sorted row. */
  readonly rowWeights_N: Floats;
  /** Distinct tokens by chunk and rank, one rank's after the other's, [U, D] by {@link rowPlaces}; empty when R = 1 and nothing is rounded. */
  readonly packed_UD: Floats;
  /**
   * Expert outputs in sorted-row order, [N, D] by {@link rowPlaces}, kept until `combineBackward`. Where a device has several segments of the experts: one
   * rank's after the other's, of each those of one segment after those of the other.
   */
  readonly returned_ND: Floats;
}

/** A segment of one layer's attention and FFN. W = query + key + value widths, Q = query heads · width of a value. */
export interface SegmentActivations {
  /** Without query/key norm turned in place by rope; with it as projected. */
  readonly qkv_TW: Floats;
  /** Normed and turned queries and keys, [T, q + k]; null without query/key norm. */
  readonly qk: Floats | null;
  readonly qStats: Floats;
  readonly kStats: Floats;
  readonly attention_TQ: Floats;
  readonly lse_TH: Floats;
  /** Pre-activations of the dense FFN or the shared experts; null at inference or where neither exists. */
  readonly ffnSaved: Floats | Halves | null;
}

/** One layer. */
export interface LayerActivations {
  /** Read by products alone, so kept in their precision. */
  readonly normed1_TD: Floats | Halves;
  readonly stats1: Floats;
  readonly mid_TD: Floats;
  readonly normed_TD: Floats;
  readonly stats2: Floats;
  readonly segments: readonly SegmentActivations[];
  readonly latents: LatentActivations | null;
  /** Null where the block reads no memory. */
  readonly cross: CrossActivations | null;
  readonly moe: MoeActivations | null;
}

export interface ProjectionGradients {
  readonly dQkv_TW: Floats;
  /** Null without query/key norm. */
  readonly dQk: Floats | null;
}

/** Gradients of one microbatch, one set for all layers: a layer's backward pass ends before the next begins. */
export interface GradientActivations {
  readonly dHidden_TD: Floats;
  /** Gradient of what routed experts add to a token; without a norm of it dHidden itself. */
  readonly dRouted_TD: Floats;
  readonly dNormed_TD: Floats;
  readonly dAttention_TQ: Floats;
  /** A segment each; where the segments are computed one after the other all the same. */
  readonly projections: readonly ProjectionGradients[];
  readonly latents: LatentGradients | null;
  readonly cross: CrossGradients | null;
  readonly dLogits_TE: Floats;
  readonly dWeights_TK: Floats;
  /** Rows of dHidden by rank, as `packed_UD`. */
  readonly dPacked_UD: Floats;
  /** Gradients of the routed rows' inputs, as `returned_ND`. */
  readonly dReturned_ND: Floats;
  readonly sums: BackwardSums;
}

/** What segments add up to in a forward pass, [T, D] each. */
export interface ForwardSums {
  readonly attention: SumBuffers;
  readonly cross: SumBuffers;
  readonly ffn: SumBuffers;
  /** Combined rows of routed experts. */
  readonly routed: SumBuffers;
}

export interface BackwardSums extends Omit<ForwardSums, 'cross'> {
  /** [T, K]. */
  readonly weights: SumBuffers;
}

/** Where rows go: ranks of the expert-parallel group, and runs of grains whose rows travel by themselves. */
export interface RowOptions {
  readonly ranks: number;
  readonly runs: readonly GrainRun[];
}

/** Room for the rows of all ranks; one rank gets all rows as they are, unless they are rounded. */
export function packedLength(shape: StageShape, options: RowOptions): number {
  const { config, rowFormat = 'f32' } = shape;
  if (config.moe === null || (options.ranks === 1 && rowFormat === 'f32')) return 0;
  return (rowPlaces(shape, config.moe, options).at(-1)?.distinct.to ?? 0) * config.dModel;
}

/** Rows that this device gets back from experts at most. */
const returnedLength = (shape: StageShape, moe: MoeConfig, options: RowOptions): number =>
  numHeld(tensorShareOf(shape).expertSegments) *
  (rowPlaces(shape, moe, options).at(-1)?.rows.to ?? 0) *
  shape.config.dModel;

/** Of every token, whoever dispatches it. */
function normInput(arena: Arena, shape: StageShape): NonNullable<RouteActivations['normInput']> {
  const T = tokensOf(shape);
  const { dModel, norm } = shape.config;
  return { sum_TD: arena.floats(T * dModel), stats: arena.floats(T * (norm.kind === 'layer' ? 2 : 1)) };
}

/** Whether experts drop rows in training, or in evaluation. */
const drops = ({ capacity }: MoeConfig, trains: boolean): boolean =>
  (trains ? capacity.train : capacity.eval) !== 0;

function routeActivations(
  arena: Arena,
  shape: StageShape,
  moe: MoeConfig,
  { ranks, runs, saves }: LayerOptions,
): RouteActivations {
  const T = tokensOf(shape);
  const { experts: E } = moe;
  const K = choiceWidth(moe);
  return {
    choices_TK: arena.ints(T * K),
    kept_TK: arena.ints(drops(moe, saves) ? T * K : 0),
    fractions_BE: arena.floats(balanceGroups(shape) * E),
    thresholdSums: saves && hasThresholds(moe) ? arena.int64s(E + 1) : null,
    fractions_E: arena.floats(moe.balance.scope === 'global' ? E : 0),
    counts_EG: arena.ints(E * shape.grains),
    position_TK: arena.ints(T * K),
    slots_N: arena.ints(T * K),
    choiceOfRow_N: arena.ints(T * K),
    rankTokens: arena.ints(ranks * T),
    shares: runs.map(() => arena.shares(ranks)),
    tokens_N: arena.ints(ranks === 1 ? T * K : 0),
    normInput: moe.norm ? normInput(arena, shape) : null,
  };
}

function rowActivations(
  arena: Arena,
  shape: StageShape,
  moe: MoeConfig,
  options: RowOptions,
): Pick<MoeActivations, 'packed_UD' | 'returned_ND'> {
  return {
    packed_UD: arena.floats(packedLength(shape, options)),
    returned_ND: arena.floats(returnedLength(shape, moe, options)),
  };
}

function moeActivations(
  arena: Arena,
  shape: StageShape,
  moe: MoeConfig,
  options: LayerOptions,
): MoeActivations {
  const T = tokensOf(shape);
  const { experts: E } = moe;
  const K = choiceWidth(moe);
  return {
    ...routeActivations(arena, shape, moe, options),
    ...rowActivations(arena, shape, moe, options),
    jittered_TD: arena.floats(options.saves && moe.router.jitter > 0 ? T * shape.config.dModel : 0),
    logits_TE: arena.floats(T * E),
    probs_TE: arena.floats(T * E),
    weights_TK: arena.floats(T * K),
    rowWeights_N: arena.floats(T * K),
  };
}

export interface LayerOptions extends RowOptions {
  readonly saves: boolean;
  readonly moe: MoeConfig | null;
  /** The block reads a memory. */
  readonly crosses: boolean;
}

export function layerActivations(arena: Arena, shape: StageShape, options: LayerOptions): LayerActivations {
  const { config } = shape;
  const T = tokensOf(shape);
  const D = config.dModel;
  const mixer = mixerOf(config);
  const { segments } = tensorShareOf(shape);
  const { heads, kvHeads, widths } = headsOfSegment(mixer, segments.count);
  const moments = config.norm.kind === 'layer' ? 2 : 1;
  const qkNorm = config.qkNorm !== 'none';
  const groups = config.qkNorm === 'head' ? { q: heads, k: kvHeads } : { q: 1, k: 1 };
  const { saves, moe } = options;
  const ffnHidden = moe === null ? config.ffn.dFf : moe.sharedExperts * moe.dExpert;
  return {
    normed1_TD: arena.operands(T * D, shape.precision),
    stats1: arena.floats(T * moments),
    mid_TD: arena.floats(T * D),
    normed_TD: arena.floats(T * D),
    stats2: arena.floats(T * moments),
    segments: eachSegment(segments).map((segment) => {
      const { from, to } = rangeOfSegment(segment, ffnHidden);
      const saved = T * hiddenInputs(config.ffn.activation) * (to - from);
      return {
        qkv_TW: arena.floats(T * widths.all),
        qk: qkNorm ? arena.floats(T * (widths.q + widths.k)) : null,
        qStats: arena.floats(qkNorm ? T * groups.q : 0),
        kStats: arena.floats(qkNorm ? T * groups.k : 0),
        attention_TQ: arena.floats(T * widths.out),
        lse_TH: arena.floats(T * heads),
        ffnSaved: saves && saved > 0 ? arena.operands(saved, shape.precision) : null,
      };
    }),
    latents: latentActivations(arena, shape),
    cross: options.crosses ? crossActivations(arena, shape) : null,
    moe: moe === null ? null : moeActivations(arena, shape, moe, options),
  };
}

/**
 * Layers of which one at a time is computed again before its backward pass: those of a kind have one set of buffers, and each where its rows
 * went; with `keepsRows` also the rows themselves, there and back.
 */
export function sharedLayers(
  arena: Arena,
  shape: StageShape,
  layers: readonly LayerOptions[],
  keepsRows: boolean,
): readonly LayerActivations[] {
  const sets = new Map<boolean, LayerActivations>();
  return layers.map((options) => {
    const { moe } = options;
    const set = sets.get(moe !== null);
    if (set === undefined) {
      const first = layerActivations(arena, shape, options);
      sets.set(moe !== null, first);
      return first;
    }
    if (set.moe === null || moe === null) return set;
    const rows = keepsRows ? rowActivations(arena, shape, moe, options) : {};
    return { ...set, moe: { ...set.moe, ...routeActivations(arena, shape, moe, options), ...rows } };
  });
}

/** Buffers of sums over segments of routed experts, of `each` elements a token that this device dispatches. */
const expertSums = (arena: Arena, shape: StageShape, each: number): SumBuffers => {
  const { peers, expertSegments } = tensorShareOf(shape);
  const size = each * ownTokens(shape);
  const [sum = noSum] = sumBuffers(arena, { peers, held: numHeld(expertSegments) }, size);
  return sum;
};

/** None where matrices are whole. */
export function forwardSums(arena: Arena, shape: StageShape, crosses: boolean): ForwardSums {
  const tensor = tensorShareOf(shape);
  if (isWhole(tensor)) return noForwardSums;
  const size = tokensOf(shape) * shape.config.dModel;
  const held = numHeld(tensor.segments);
  const [attention = noSum, ffn = noSum] = sumBuffers(arena, { peers: tensor.peers, held }, size, 2);
  const cross = crosses ? crossSum(arena, shape) : noSum;
  const routed = shape.config.moe === null ? noSum : expertSums(arena, shape, shape.config.dModel);
  return { attention, cross, ffn, routed };
}

/** Of a stream that only travels through: where it is embedded, what tensor peers have of its rows. */
export function travellingSums(
  arena: Arena,
  shape: StageShape,
  { embeds = false }: { readonly embeds?: boolean },
): ForwardSums {
  const { peers } = tensorShareOf(shape);
  if (!embeds || peers === 1) return noForwardSums;
  const [ffn = noSum] = sumBuffers(arena, { peers, held: 1 }, tokensOf(shape) * shape.config.dModel);
  return { ...noForwardSums, ffn };
}

/** Of a stream that only travels through: its own gradient, and no layer's. */
export interface GradientOptions extends RowOptions {
  readonly hasLayers: boolean;
  /** Its blocks read a memory. */
  readonly crosses: boolean;
}

export function gradientActivations(
  arena: Arena,
  shape: StageShape,
  options: GradientOptions,
): GradientActivations {
  const { config } = shape;
  const T = options.hasLayers ? tokensOf(shape) : 0;
  const D = config.dModel;
  const tensor = tensorShareOf(shape);
  const { widths } = headsOfSegment(mixerOf(config), tensor.segments.count);
  const moe = options.hasLayers ? config.moe : null;
  const E = moe?.experts ?? 0;
  const K = moe === null ? 0 : choiceWidth(moe);
  const projection = (): ProjectionGradients => ({
    dQkv_TW: arena.floats(T * widths.all),
    dQk: config.qkNorm === 'none' ? null : arena.floats(T * (widths.q + widths.k)),
  });
  const common = hasNormSums(shape) ? null : projection();
  const dHidden_TD = arena.floats(tokensOf(shape) * D);
  return {
    dHidden_TD,
    dRouted_TD: moe?.norm === true ? arena.floats(T * D) : dHidden_TD,
    dNormed_TD: arena.floats(T * D),
    dAttention_TQ: arena.floats(T * widths.out),
    projections: eachSegment(tensor.segments).map(() => common ?? projection()),
    latents: options.hasLayers ? latentGradients(arena, shape) : null,
    cross: options.crosses ? crossGradients(arena, shape) : null,
    dLogits_TE: arena.floats(T * E),
    dWeights_TK: arena.floats(T * K),
    dPacked_UD: arena.floats(moe === null ? 0 : packedLength(shape, options)),
    dReturned_ND: arena.floats(moe === null ? 0 : returnedLength(shape, moe, options)),
    sums: options.hasLayers ? backwardSums(arena, shape, K) : noSums,
  };
}

const noForwardSums: ForwardSums = { attention: noSum, cross: noSum, ffn: noSum, routed: noSum };

const noSums: BackwardSums = { ...noForwardSums, weights: noSum };

const backwardSums = (arena: Arena, shape: StageShape, choices: number): BackwardSums => ({
  ...forwardSums(arena, shape, false),
  weights: choices === 0 || isWhole(tensorShareOf(shape)) ? noSum : expertSums(arena, shape, choices),
});
