import { hiddenInputs } from '@troupe/kernel-set';
import {
  eachStream,
  grainRuns,
  ownGrains,
  ownRuns,
  StageStatistics,
  StreamActivations,
  tensorShare,
  waitingBytes,
  type StageShape,
  type StreamGradients,
} from '@troupe/model/buffers';
import {
  isMoeLayer,
  meanChoices,
  positionsOf,
  rotaryDim,
  seqLenOf,
  visitedShare,
  type ModelConfig,
} from '@troupe/spec';
import type { Layout } from '../layout/layout.ts';
import type { Coordinates } from '../layout/mesh.ts';
import type { StageIndex, WorkerRank } from '../layout/rank.ts';
import type { SlotMode } from '../layout/stage-slots.ts';
import { slotsOf } from '../pipeline.ts';
import type { ResolvedTopology } from '../resolved.ts';
import { bytesAllocated } from './allocations.ts';

/** Bytes of what a stage computes with, besides the states of parameters. */
export interface BufferBytes {
  /** Of the passes that are in flight at most, of the experts that work for them, and of operands that gradients of matrices wait with. */
  readonly activations: number;
  /** The same where layers keep all that their backward passes read (`train.recompute: none`). */
  readonly kept: number;
  /** The same where layers are computed again (`train.recompute: layer`). */
  readonly recomputed: number;
  /** Of an evaluation's passes, statistics and tables. */
  readonly buffers: number;
}

/** Storage of an expert group is taken with a quarter to spare. */
const SLACK = 1.25;

/** What a worker of a tensor rank computes. */
export const shapeOf = (
  { model, train, wire }: ResolvedTopology,
  { dealing, tensorAxis }: Layout,
  tensor: number,
): StageShape => ({
  config: model,
  sequences: dealing.microbatchSequences,
  grains: dealing.microbatchGrains,
  precision: train.precision === 'bf16' ? 'bf16' : 'f32',
  rowFormat: wire.dtype,
  smoothing: train.labelSmoothing,
  tensor: tensorShare(tensorAxis, tensor),
});

/** Of what tells tokens where they stand, in every stream: cosines and sines of the angles of every pair, a table of sines, or nothing. */
export function positionBytes(model: ModelConfig): number {
  if (model.positions === 't5') return 0;
  return 4 * positionsOf(model) * (model.positions === 'sinusoidal' ? model.dModel : rotaryDim(model));
}

/** A gate that sends to an expert group. */
interface RowSource {
  /** Of a microbatch, whose rows it sends. */
  readonly grains: number;
  readonly isBeside: boolean;
}

/** How many sources there are of each kind: hundreds of them are alike. */
function sourceKinds(sources: readonly RowSource[]): readonly (RowSource & { readonly count: number })[] {
  const found = new Map<string, RowSource & { readonly count: number }>();
  for (const source of sources) {
    const key = `${source.grains} ${source.isBeside}`;
    found.set(key, { ...source, count: (found.get(key)?.count ?? 0) + 1 });
  }
  return [...found.values()];
}

/** What an expert group serves, and how. */
export interface ExpertService {
  readonly layer: number;
  /** Default: a gate of each group, one of them beside it. */
  readonly sources?: readonly RowSource[];
  /** Gradients of its matrices wait. */
  readonly defers: boolean;
  /** Layers are computed again, so what waits has copies of what it reads. */
  readonly recomputes: boolean;
  /** In which each of them sends the rows of a pass. */
  readonly chunks: number;
}

/**
 * What the expert group of a layer keeps on a worker of one pass at even load: room for the outputs of other workers' rows, pre-activations, and what
 * gradients of matrices wait with.
 */
export function expertBytes(topology: ResolvedTopology, shape: StageShape, service: ExpertService): number {
  const { model, parallel } = topology;
  if (model.moe === null) return 0;
  const { moe } = model;
  const { dExpert, experts } = moe;
  const choices = meanChoices(moe);
  const { ep } = parallel;
  const { sources = sourcesBeside(shape, ep), defers, recomputes, chunks } = service;
  const narrow = shape.precision === 'bf16' ? 2 : 4;
  const room = (length: number): number => Math.ceil(length * SLACK);
  const { expertSegments = { from: 0, to: 1, count: 1 } } = shape.tensor ?? {};
  const held = expertSegments.to - expertSegments.from;
  const hidden = (dExpert * held) / expertSegments.count;
  // A result of every segment goes back.
  const width = held * model.dModel;
  const seqLen = seqLenOf(model, service.layer);
  const tokensOf = (grains: number): number => (grains * shape.sequences * seqLen) / shape.grains;
  // Room for what goes back to a source elsewhere; in bf16 what comes is widened, and what leaves is packed.
  const ofOther = (grains: number): number => {
    const tokens = tokensOf(grains);
    const rows = (tokens * choices) / ep;
    const distinct = Math.min(tokens, rows);
    const converted =
      shape.rowFormat === 'bf16' ? 2 * 4 * room(distinct * model.dModel) + 2 * 2 * room(rows * width) : 0;
    return 2 * 4 * room(rows * width) + converted;
  };
  const ofAll = (grains: number): number => {
    const tokens = tokensOf(grains);
    const rows = (tokens * choices) / ep;
    const saved = rows * hiddenInputs(model.ffn.activation) * hidden;
    // Gradients of pre-activations, and of the outputs of each source's tokens; with their inputs where these are computed again.
    const visits = tokens * visitedShare(moe, experts / ep);
    const sent = recomputes ? 2 * 4 * visits * width + 4 * held * rows : 4 * visits * width;
    const waiting = defers ? (recomputes ? 2 : 1) * narrow * saved + sent : 0;
    return narrow * room(saved) + waiting;
  };
  const kinds = sourceKinds(sources).map((kind) => ({
    ...kind,
    runs: grainRuns({ first: 0, end: kind.grains }, chunks),
  }));
  const ofChunk = (index: number): number => {
    const parts = kinds.map(({ isBeside, count, runs }) => {
      const { first, end } = runs[index] ?? { first: 0, end: 0 };
      return { count: isBeside ? 0 : count, grains: end - first, all: count * (end - first) };
    });
    const all = parts.reduce((sum, part) => sum + part.all, 0);
    return parts.reduce((sum, { count, grains }) => sum + count * ofOther(grains), ofAll(all));
  };
  return Array.from({ length: chunks }, (_, index) => ofChunk(index)).reduce((sum, each) => sum + each, 0);
}

const numGrains = (shape: StageShape): number => {
  const { first, end } = ownGrains(shape);
  return end - first;
};

/** The gates of replicas that share experts: each sends what the one beside these sends. */
const sourcesBeside = (shape: StageShape, ep: number): readonly RowSource[] =>
  Array.from({ length: ep }, (_, index) => ({ grains: numGrains(shape), isBeside: index === 0 }));

/** A stage of a topology, and what a device of it computes. */
interface ShapedStage {
  readonly stage: StageIndex;
  readonly shape: StageShape;
  readonly recomputes: boolean;
}

/** Bytes of the passes of a stage, of training and of evaluation: gradients of activations lie in one set of buffers for all slots. */
function passBytes(
  topology: ResolvedTopology,
  layout: Layout,
  { stage, shape, recomputes }: ShapedStage,
): Readonly<Record<SlotMode, number>> {
  const ranks = layout.experts.numGroups;
  const sums = { train: 0, evaluate: 0 };
  let gradients: StreamGradients | undefined;
  const training: StreamActivations[] = [];
  for (const { mode, plan } of layout.slotsOf(stage).all) {
    const [first = 0] = plan.blocks;
    sums[mode] += bytesAllocated((device) => {
      const made = new StreamActivations(device, shape, {
        training: mode === 'train',
        recompute: recomputes,
        keepsRows: true,
        ranks,
        runs: ownRuns(shape, layout.rowChunks),
        layers: { first, count: plan.blocks.length },
        head: plan.hasHead,
        ...(gradients === undefined ? {} : { gradients }),
      });
      if (mode === 'train') {
        gradients = made.gradients;
        training.push(made);
      }
      // Rows leave for other workers: it is made when the first do.
      const travels =
        shape.rowFormat === 'bf16' &&
        ranks > 1 &&
        plan.blocks.some((block) => isMoeLayer(topology.model, block));
      return travels ? eachStream(made).map((act) => (act.numLayers > 0 ? act.travelling_UD : null)) : null;
    });
  }
  if (layout.defersMatrices)
    sums.train += training.reduce(
      (sum, made) => eachStream(made).reduce((all, act) => all + waitingBytes(act, made.memory), sum),
      0,
    );
  return sums;
}

/**
 * Passes of a block of a stage that are open at its experts at most: those that have begun at the stage. Where nothing waits there, they end
 * with their backward half.
 */
function passesAtExperts(layout: Layout, stage: StageIndex, defers: boolean): (block: number) => number {
  const { program, chunks } = layout.slotsOf(stage);
  const operations = program.filter(({ direction }) => defers || direction !== 'weights');
  const { counts } = slotsOf(operations, chunks.length, layout.pipeline.width);
  return (block) => counts[chunks.findIndex(({ blocks }) => blocks.includes(block))] ?? 0;
}

/** Bytes of the experts beside a stage. */
function besideBytes(
  topology: ResolvedTopology,
  layout: Layout,
  { stage, shape, recomputes }: ShapedStage,
): number {
  if (topology.parallel.expertWorkers > 0) return 0;
  const { defersMatrices: defers } = layout;
  const passesOf = passesAtExperts(layout, stage, defers);
  const service = { defers, recomputes, chunks: layout.rowChunks };
  return layout
    .moeLayersOf(stage)
    .reduce((sum, layer) => sum + passesOf(layer) * expertBytes(topology, shape, { ...service, layer }), 0);
}

/** What a worker of a stage allocates besides the states of its parameters. */
export function stageBuffers(
  topology: ResolvedTopology,
  layout: Layout,
  { pp: stage, tp }: Pick<Coordinates, 'pp' | 'tp'>,
): BufferBytes {
  const { model, data, train } = topology;
  const shape = shapeOf(topology, layout, tp);
  const of = (recomputes: boolean) => {
    const shaped = { stage, shape, recomputes };
    const passes = passBytes(topology, layout, shaped);
    return { ...passes, train: passes.train + besideBytes(topology, layout, shaped) };
  };
  const [{ train: kept, evaluate }, { train: recomputed }] = [of(false), of(true)];
  const statistics = bytesAllocated(
    (device) => new StageStatistics(device, model, layout.moeLayersOf(stage)),
  );
  return {
    activations: train.recompute === 'layer' ? recomputed : kept,
    kept,
    recomputed,
    buffers: positionBytes(model) + 2 * statistics + (data.holdout > 0 ? evaluate : 0),
  };
}

/** The same of a worker that has experts of all layers and no stage: nothing of theirs is computed again, and nothing waits. */
export function expertWorkerBuffers(
  topology: ResolvedTopology,
  layout: Layout,
  worker: WorkerRank,
): BufferBytes {
  const shape = shapeOf(topology, layout, 0);
  const service = { defers: false, recomputes: false, chunks: layout.rowChunks };
  const bytes = layout.layersOf(worker).map((layer) => {
    const stage = layout.stageOfBlock(layer);
    const passes = passesAtExperts(layout, stage, false)(layer);
    const sources = Array.from(layout.experts.sourcesOf(worker, stage), (gate) => ({
      grains: numGrains(shapeOf(topology, layout, layout.at(gate).tp)),
      isBeside: false,
    }));
    return passes * expertBytes(topology, shape, { ...service, layer, sources });
  });
  const activations = bytes.reduce((sum, each) => sum + each, 0);
  return { activations, kept: activations, recomputed: activations, buffers: 0 };
}
