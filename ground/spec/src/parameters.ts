import { assert } from '@troupe/core';
import { hiddenInputs, NORM_BLOCK } from '@troupe/kernel-set';
import {
  blockOf,
  blocksOf,
  encoderLayers,
  qkvWidths,
  streamOf,
  type Block,
  type StreamName,
} from './blocks.ts';
import type { BufferRule } from './buffer-rule.ts';
import { hasThresholds } from './expert-choice.ts';
import { latentTensors } from './latent-tensors.ts';
import type { ExpertParameter, ModelConfig, MoeConfig, ParameterInit } from './model-config.ts';
import {
  eachSegment,
  kvHeadsOfSegment,
  rangeOfSegment,
  segmentId,
  wholeTensors,
  type Segment,
  type SegmentRange,
  type TensorSegments,
} from './tensor-segments.ts';

export type ParameterClass = 'dense' | 'expert';

/** Where a part lies in the tensor that it is cut from. */
export interface ParameterPlace {
  /** Of the whole tensor. */
  readonly shape: readonly number[];
  readonly rows: SegmentRange;
  /** Of a vector: [0, 1). */
  readonly columns: SegmentRange;
}

/** One tensor, or a part of it, by its global name: what checkpoints, hashes and people speak of. */
export interface Parameter {
  readonly name: string;
  /** Of the part, where it is one. */
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly size: number;
  /** First element inside its unit. */
  readonly offset: number;
  readonly init: ParameterInit;
  /** Of a part; null: the tensor is whole. */
  readonly place: ParameterPlace | null;
}

/**
 * What the gradient of a unit is on each of the tensor peers that hold it: `whole`: the same on all, so that one alone counts (also of
 * a unit that one peer alone has). `shares`: each peer has leaves of its own heads, which are added.
 */
export type PeerGradient = 'whole' | 'shares';

/**
 * Parameters that lie side by side without gaps (query, key and value of a layer; one expert), so that kernels may
 * read them as one matrix. A unit is padded to a multiple of NORM_BLOCK, which makes every slice boundary and
 * every leaf of the squared norm independent of the layout.
 */
export interface Unit {
  /** `embed`, `L0/qkv`, `L3/expert7`. */
  readonly id: string;
  readonly class: ParameterClass;
  readonly layer: number | null;
  /** Global index of the expert; null for dense units. */
  readonly expert: number | null;
  /** Which segment of a unit that the tensor axis divides; null: it is not divided. */
  readonly segment: number | null;
  readonly peerGradient: PeerGradient;
  /** How it changes; null: gradients train it. */
  readonly buffer: BufferRule | null;
  readonly parameters: readonly Parameter[];
  readonly size: number;
  readonly paddedSize: number;
}

/** A tensor, and how the tensor axis divides it. */
interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: ParameterInit;
  /** Default: not at all. `of` pieces (heads, hidden units, tokens) that stay whole, side by side along that dimension. */
  readonly split?: { readonly along: 'rows' | 'columns'; readonly pieces: number };
}

interface UnitPlace {
  readonly layer: number | null;
  readonly expert?: number;
  readonly segment?: number;
  readonly peerGradient?: PeerGradient;
  readonly buffer?: BufferRule;
}

function unit(
  id: string,
  place: UnitPlace,
  parts: readonly (Omit<Tensor, 'split'> & { readonly place?: ParameterPlace })[],
): Unit {
  let offset = 0;
  const parameters = parts.map(({ name, shape, init, place: within = null }) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const parameter = { name, shape, init, size, offset, place: within };
    offset += size;
    return parameter;
  });
  return {
    id,
    class: place.expert === undefined ? 'dense' : 'expert',
    layer: place.layer,
    expert: place.expert ?? null,
    segment: place.segment ?? null,
    peerGradient: place.peerGradient ?? 'whole',
    buffer: place.buffer ?? null,
    parameters,
    size: offset,
    paddedSize: Math.ceil(offset / NORM_BLOCK) * NORM_BLOCK,
  };
}

/** Pieces [from, to) of a tensor that is divided. */
function part({ name, shape, init, split }: Tensor, pieces: SegmentRange) {
  const [rows = 1, columns = 1] = shape;
  assert(split !== undefined, 'only what is divided has parts', { name });
  const each = (split.along === 'rows' ? rows : columns) / split.pieces;
  const range = { from: pieces.from * each, to: pieces.to * each };
  const length = range.to - range.from;
  const [whole, cut] = [{ from: 0, to: split.along === 'rows' ? columns : rows }, range];
  return {
    name,
    init,
    shape: split.along === 'columns' ? [rows, length] : [length, ...shape.slice(1)],
    place: {
      shape,
      rows: split.along === 'rows' ? cut : whole,
      columns: split.along === 'rows' ? whole : cut,
    },
  };
}

/** One segment of a unit whose tensors are all divided; the unit itself where there is one segment. */
function segmentUnit(id: string, place: UnitPlace, segment: Segment, tensors: readonly Tensor[]): Unit {
  if (segment.count === 1) return unit(id, place, tensors);
  const parts = tensors.map((tensor) => part(tensor, rangeOfSegment(segment, tensor.split?.pieces ?? 1)));
  return unit(segmentId(id, segment), { ...place, segment: segment.index }, parts);
}

const one: ParameterInit = { kind: 'constant', value: 1 };
const zero: ParameterInit = { kind: 'constant', value: 0 };

function matrixInit(config: ModelConfig, fanIn: number): ParameterInit {
  return { kind: 'truncated-normal', std: Math.sqrt(config.init.scale / fanIn) };
}

function normUnit(config: ModelConfig, id: string, name: string, layer: number | null): Unit {
  const weight = { name: `${name}.weight`, shape: [config.dModel], init: one };
  const bias = { name: `${name}.bias`, shape: [config.dModel], init: zero };
  return unit(id, { layer }, config.norm.kind === 'layer' ? [weight, bias] : [weight]);
}

/** gate (gated activations), up and down of one FFN; fan_in of `down` is dFf whatever the granularity (arXiv:2402.07871 §A). */
function ffnTensors(
  config: ModelConfig,
  prefix: string,
  hidden: number,
  downFanIn: number,
): readonly Tensor[] {
  const input = (name: string): Tensor => ({
    name: `${prefix}.${name}.weight`,
    shape: [hidden, config.dModel],
    init: matrixInit(config, config.dModel),
    split: { along: 'rows', pieces: hidden },
  });
  const down: Tensor = {
    name: `${prefix}.down_proj.weight`,
    shape: [config.dModel, hidden],
    init: matrixInit(config, downFanIn),
    split: { along: 'columns', pieces: hidden },
  };
  const up = input('up_proj');
  return hiddenInputs(config.ffn.activation) === 2 ? [input('gate_proj'), up, down] : [up, down];
}

function ownPart(config: ModelConfig, prefix: string, { name, shape, init }: ExpertParameter) {
  const fanIn = shape.length > 1 ? shape.at(-1) : undefined;
  return {
    name: `${prefix}.${name}`,
    shape,
    init: init ?? (fanIn === undefined ? zero : matrixInit(config, fanIn)),
  };
}

/** The unit of one expert of one layer, or of a segment of it. Experts with parameters of their own are never divided. */
export function expertUnit(
  config: ModelConfig,
  layer: number,
  expert: number,
  segment: Segment = { count: 1, index: 0 },
): Unit {
  const { ffn } = blockOf(config, layer);
  assert(ffn.kind === 'moe', 'only blocks with experts have expert units', { layer });
  const prefix = `model.layers.${layer}.mlp.experts.${expert}`;
  const id = `L${layer}/expert${expert}`;
  const own = ffn.moe.expertParameters?.map((parameter) => ownPart(config, prefix, parameter));
  if (own !== undefined) {
    assert(segment.count === 1, 'experts with parameters of their own are whole', { layer });
    return unit(id, { layer, expert }, own);
  }
  return segmentUnit(id, { layer, expert }, segment, ffnTensors(config, prefix, ffn.hidden, config.ffn.dFf));
}

/** Everything of one block that is not a routed expert, in forward order. */
export const layerUnits = (
  config: ModelConfig,
  layer: number,
  held: TensorSegments = wholeTensors,
): readonly Unit[] => blockUnits(config, blockOf(config, layer), held);

/** Queries, keys and values; keys and values alone where several segments read one head of them. */
function projectionUnits(config: ModelConfig, { index: layer, mixer }: Block, held: TensorSegments) {
  const { heads, kvHeads, headDim, latent } = mixer;
  if (latent !== null) return latentUnits(config, layer, held);
  const tensor = (name: 'q' | 'k' | 'v', pieces: number): Tensor => ({
    name: `model.layers.${layer}.self_attn.${name}_proj.weight`,
    shape: [pieces * headDim, config.dModel],
    init: matrixInit(config, config.dModel),
    split: { along: 'rows', pieces },
  });
  const [q, k, v] = [tensor('q', heads), tensor('k', kvHeads), tensor('v', kvHeads)];
  const segments = eachSegment(held);
  const id = `L${layer}/qkv`;
  if (held.count <= kvHeads) return segments.map((segment) => segmentUnit(id, { layer }, segment, [q, k, v]));
  const shared = new Set(segments.map((segment) => kvHeadsOfSegment(segment, kvHeads).from));
  return [
    ...segments.map((segment) => segmentUnit(id, { layer }, segment, [q])),
    ...Array.from(shared, (head) => {
      const parts = [k, v].map((each) => part(each, { from: head, to: head + 1 }));
      return unit(kvUnitId(layer, head), { layer, segment: head, peerGradient: 'shares' }, parts);
    }),
  ];
}

/** What makes latents, which every tensor rank has whole; their norms; and what makes queries, keys and values of them, head by head. */
function latentUnits(config: ModelConfig, layer: number, held: TensorSegments): readonly Unit[] {
  const { down, norms, up } = latentTensors(config, `model.layers.${layer}.self_attn`);
  const divided = (id: string, tensor: Tensor): readonly Unit[] =>
    eachSegment(held).map((segment) => segmentUnit(id, { layer }, segment, [tensor]));
  return [
    unit(`L${layer}/latent`, { layer }, down),
    unit(`L${layer}/latent-norms`, { layer }, norms),
    ...divided(`L${layer}/q-up`, up.q),
    ...divided(`L${layer}/kv-up`, up.kv),
  ];
}

/** The unit of a key/value head that several segments read. */
export const kvUnitId = (layer: number, head: number): string => `L${layer}/kv#${head}`;

/** Norms of queries and keys: of the width of a head, or divided as the heads are. */
function qkNormUnits({ index: layer, mixer }: Block, held: TensorSegments): readonly Unit[] {
  const { qkNorm, heads, kvHeads, headDim } = mixer;
  if (qkNorm === 'none') return [];
  const sides = [
    { side: 'q', pieces: heads },
    { side: 'k', pieces: kvHeads },
  ] as const;
  return sides.flatMap(({ side, pieces }) => {
    const [id, name] = [`L${layer}/${side}-norm`, `model.layers.${layer}.self_attn.${side}_norm.weight`];
    if (qkNorm === 'head')
      return [unit(id, { layer, peerGradient: 'shares' }, [{ name, shape: [headDim], init: one }])];
    const split = { along: 'rows', pieces } as const;
    return eachSegment(held).map((segment) =>
      segmentUnit(id, { layer }, segment, [{ name, shape: [pieces * headDim], init: one, split }]),
    );
  });
}

/** The unit of a router's bias, where it has one. */
export const gateBiasId = (layer: number): string => `L${layer}/gate.bias`;

/** A bias for each expert, which follows its load; named as in DeepSeek-V3. */
function gateBias(layer: number, { experts, balance }: MoeConfig): readonly Unit[] {
  if (balance.bias === 0) return [];
  const name = `model.layers.${layer}.mlp.gate.e_score_correction_bias`;
  const buffer = { kind: 'bias', rate: balance.bias } as const;
  return [unit(gateBiasId(layer), { layer, buffer }, [{ name, shape: [experts], init: zero }])];
}

/** The unit of the thresholds by which experts choose in generation, where a model has them. */
export const gateThresholdsId = (layer: number): string => `L${layer}/gate.thresholds`;

/** Share of a step in the moving average of thresholds. */
const FRESH = 0.01;

/** Of each expert a threshold, and beside it the number of steps that it averages. */
function gateThresholds(layer: number, moe: MoeConfig): readonly Unit[] {
  if (!hasThresholds(moe)) return [];
  const name = `model.layers.${layer}.mlp.gate.thresholds`;
  const buffer = { kind: 'threshold', fresh: FRESH } as const;
  return [unit(gateThresholdsId(layer), { layer, buffer }, [{ name, shape: [2 * moe.experts], init: zero }])];
}

/** The blocks of a stream, [first, end). */
export function stackOf(config: ModelConfig, stream: StreamName): SegmentRange {
  const bound = encoderLayers(config);
  return stream === 'encoder' ? { from: 0, to: bound } : { from: bound, to: config.layers };
}

/** The unit of the table of biases that the blocks of a stream share: it lies with the first of them. */
export const positionTableId = (config: ModelConfig, stream: StreamName): string =>
  `L${stackOf(config, stream).from}/positions`;

/** A table of biases by distance and head, or some of its heads. */
export const isPositionTable = ({ id }: Pick<Unit, 'id'>): boolean => /^L\d+\/positions(?:#|$)/u.test(id);

/** In front of the first block of a stream, where positions are told by such a table; [buckets, heads], scale as T5's own. */
function positionTable(config: ModelConfig, { index: layer, mixer, stream }: Block, held: TensorSegments) {
  const { positions, heads } = mixer;
  if (positions.kind !== 'relative' || layer !== stackOf(config, stream).from) return [];
  const table: Tensor = {
    name: `model.${stream}.relative_attention_bias.weight`,
    shape: [positions.buckets, heads],
    init: matrixInit(config, config.dModel),
    split: { along: 'columns', pieces: heads },
  };
  const id = positionTableId(config, stream);
  return eachSegment(held).map((segment) => segmentUnit(id, { layer }, segment, [table]));
}

/** The unit of the norm behind the last block of an encoder, whose output is the memory. */
export const memoryNormId = (layer: number): string => `L${layer}/memory-norm`;

const memoryNorm = (config: ModelConfig, layer: number): Unit =>
  normUnit(config, memoryNormId(layer), 'model.encoder_norm', layer);

/** How a block reads the memory: a norm of what asks, queries, keys and values of the memory, and the way back. */
function crossUnits(config: ModelConfig, { index: layer, cross }: Block, held: TensorSegments) {
  if (cross === null) return [];
  const { heads, kvHeads, headDim } = cross;
  const prefix = `model.layers.${layer}.cross_attn`;
  const input = (name: 'q' | 'k' | 'v', pieces: number): Tensor => ({
    name: `${prefix}.${name}_proj.weight`,
    shape: [pieces * headDim, config.dModel],
    init: matrixInit(config, config.dModel),
    split: { along: 'rows', pieces },
  });
  const width = heads * headDim;
  const out: Tensor = {
    name: `${prefix}.o_proj.weight`,
    shape: [config.dModel, width],
    init: matrixInit(config, width),
    split: { along: 'columns', pieces: heads },
  };
  const divided = (id: string, tensors: readonly Tensor[]): readonly Unit[] =>
    eachSegment(held).map((segment) => segmentUnit(id, { layer }, segment, tensors));
  return [
    normUnit(config, `L${layer}/norm-cross`, `model.layers.${layer}.cross_attn_layernorm`, layer),
    ...divided(`L${layer}/cross-q`, [input('q', heads)]),
    ...divided(`L${layer}/cross-kv`, [input('k', kvHeads), input('v', kvHeads)]),
    ...divided(`L${layer}/cross-out`, [out]),
  ];
}

function blockUnits(config: ModelConfig, block: Block, held: TensorSegments): readonly Unit[] {
  const { index: layer, mixer, ffn } = block;
  const prefix = `model.layers.${layer}`;
  const d = config.dModel;
  const divided = (id: string, tensors: readonly Tensor[]): readonly Unit[] =>
    eachSegment(held).map((segment) => segmentUnit(id, { layer }, segment, tensors));
  const width = qkvWidths(mixer).out;
  const out: Tensor = {
    name: `${prefix}.self_attn.o_proj.weight`,
    shape: [d, width],
    init: matrixInit(config, width),
    split: { along: 'columns', pieces: mixer.heads },
  };
  const units = [
    ...positionTable(config, block, held),
    normUnit(config, `L${layer}/norm1`, `${prefix}.input_layernorm`, layer),
    ...projectionUnits(config, block, held),
    ...qkNormUnits(block, held),
    ...divided(`L${layer}/out`, [out]),
    ...crossUnits(config, block, held),
    normUnit(config, `L${layer}/norm2`, `${prefix}.post_attention_layernorm`, layer),
  ];
  const memory = layer === encoderLayers(config) - 1 ? [memoryNorm(config, layer)] : [];
  if (ffn.kind === 'dense')
    return [
      ...units,
      ...divided(`L${layer}/ffn`, ffnTensors(config, `${prefix}.mlp`, ffn.hidden, ffn.hidden)),
      ...memory,
    ];
  const gate = {
    name: `${prefix}.mlp.gate.weight`,
    shape: [ffn.moe.experts, d],
    init: matrixInit(config, d),
  };
  const shared = ffnTensors(config, `${prefix}.mlp.shared_experts`, ffn.sharedHidden, config.ffn.dFf);
  return [
    ...units,
    unit(`L${layer}/gate`, { layer }, [gate]),
    ...gateBias(layer, ffn.moe),
    ...gateThresholds(layer, ffn.moe),
    ...(ffn.sharedHidden > 0 ? divided(`L${layer}/shared`, shared) : []),
    ...(ffn.moe.norm ? [normUnit(config, `L${layer}/moe-norm`, `${prefix}.mlp.norm`, layer)] : []),
    ...memory,
  ];
}

/** The table of the embedding, or a part of it. */
export const isEmbedding = ({ id }: Pick<Unit, 'id'>): boolean => id === 'embed' || id.startsWith('embed#');

/**
 * Calls of a microbatch that give a unit's tensors gradients: of the embedding one of each stream, and a tied head; of a table of positions every
 * block of its stream; else one.
 */
export function gradientCalls(config: ModelConfig, unit: Pick<Unit, 'id' | 'layer'>): number {
  const { tiedHead, encoder } = config;
  if (isEmbedding(unit)) return 1 + (tiedHead ? 1 : 0) + (encoder === null ? 0 : 1);
  if (!isPositionTable(unit)) return 1;
  const { from, to } = stackOf(config, streamOf(config, unit.layer ?? 0));
  return to - from;
}

/** All units that are not routed experts, in forward order: embedding, layers, last norm, head (unless tied). */
export function denseUnits(config: ModelConfig, held: TensorSegments = wholeTensors): readonly Unit[] {
  const { vocab, dModel } = config;
  const table = (id: string, name: string, init: ParameterInit): readonly Unit[] =>
    eachSegment(held).map((segment) =>
      segmentUnit(id, { layer: null }, segment, [
        { name, shape: [vocab, dModel], init, split: { along: 'rows', pieces: vocab } },
      ]),
    );
  const embed = table('embed', 'model.embed_tokens.weight', { kind: 'normal', std: config.init.embedding });
  const layers = blocksOf(config).flatMap((block) => blockUnits(config, block, held));
  const norm = normUnit(config, 'norm', 'model.norm', null);
  const head = config.tiedHead ? [] : table('head', 'lm_head.weight', matrixInit(config, dModel));
  return [...embed, ...layers, norm, ...head];
}

/** Expert units of one layer, segment by segment, in each in the order of their global index. */
export const expertUnits = (
  config: ModelConfig,
  layer: number,
  held: TensorSegments = wholeTensors,
): readonly Unit[] =>
  eachSegment(held).flatMap((segment) =>
    Array.from({ length: config.moe?.experts ?? 0 }, (_, expert) =>
      expertUnit(config, layer, expert, segment),
    ),
  );

/** Units laid side by side in one buffer. */
export interface FlatLayout {
  readonly units: readonly Unit[];
  /** First element of each unit. */
  readonly starts: readonly number[];
  /** Elements in all, padding included. */
  readonly length: number;
}

export function flatLayout(units: readonly Unit[]): FlatLayout {
  let length = 0;
  const starts = units.map((each) => {
    const start = length;
    length += each.paddedSize;
    return start;
  });
  return { units, starts, length };
}

/**
 * Cuts a flat buffer of `length` elements into `parts` contiguous slices at multiples of NORM_BLOCK, as even as that allows.
 *
 * @returns `parts` + 1 bounds, the first 0, the last `length`
 */
export function sliceBounds(length: number, parts: number): readonly number[] {
  assert(length % NORM_BLOCK === 0, 'flat layouts are padded to NORM_BLOCK', { length });
  const blocks = length / NORM_BLOCK;
  return Array.from({ length: parts + 1 }, (_, part) => Math.floor((blocks * part) / parts) * NORM_BLOCK);
}
