import { hiddenInputs } from '@troupe/kernel-set';
import {
  Activations,
  StageStatistics,
  tensorShare,
  type GradientActivations,
  type StageShape,
} from '@troupe/model/buffers';
import { isMoeLayer, type ModelConfig } from '@troupe/spec';
import type { Layout } from '../layout/layout.ts';
import type { Coordinates } from '../layout/mesh.ts';
import type { StageIndex, WorkerRank } from '../layout/rank.ts';
import type { SlotMode } from '../layout/stage-slots.ts';
import type { ResolvedTopology } from '../resolved.ts';
import { bytesAllocated } from './allocations.ts';

/** Bytes of what a stage computes with, besides the states of parameters. */
export interface BufferBytes {
  /** Of the passes that are in flight at most, and of the experts that work for them. */
  readonly activations: number;
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
  tensor: tensorShare(tensorAxis, tensor),
});

const ropeBytes = ({ seqLen, headDim }: ModelConfig): number => 2 * 4 * seqLen * (headDim / 2);

/**
 * What the expert group of a worker keeps of one pass at even load: room for the outputs of other workers' rows, and pre-activations.
 *
 * @param sources - gates that send to it, one of them beside it, or all from other workers
 */
export function expertBytes(
  topology: ResolvedTopology,
  shape: StageShape,
  sources = { all: topology.parallel.ep, others: topology.parallel.ep - 1 },
): number {
  const { model, parallel } = topology;
  if (model.moe === null) return 0;
  const { topK, dExpert } = model.moe;
  const narrow = shape.precision === 'bf16' ? 2 : 4;
  const rows = (shape.sequences * model.seqLen * topK) / parallel.ep;
  const room = (length: number): number => Math.ceil(length * SLACK);
  const { expertSegments = { from: 0, to: 1, count: 1 } } = shape.tensor ?? {};
  const held = expertSegments.to - expertSegments.from;
  const hidden = (dExpert * held) / expertSegments.count;
  const saved = narrow * room(sources.all * rows * hiddenInputs(model.ffn.activation) * hidden);
  // A result of every segment goes back.
  const width = held * model.dModel;
  const results = 2 * 4 * room(rows * width);
  // In bf16 what comes is widened, and what leaves is packed.
  const distinct = Math.min(shape.sequences * model.seqLen, rows);
  const converted =
    shape.rowFormat === 'bf16' ? 2 * 4 * room(distinct * model.dModel) + 2 * 2 * room(rows * width) : 0;
  return saved + sources.others * (results + converted);
}

/** Bytes of the passes of a stage, of training and of evaluation: gradients of activations lie in one set of buffers for all slots. */
function passBytes(
  topology: ResolvedTopology,
  layout: Layout,
  { stage, shape }: { readonly stage: StageIndex; readonly shape: StageShape },
): Readonly<Record<SlotMode, number>> {
  const ranks = layout.experts.numGroups;
  const sums = { train: 0, evaluate: 0 };
  let gradients: GradientActivations | undefined;
  for (const { mode, plan } of layout.slotsOf(stage).all) {
    const [first = 0] = plan.blocks;
    sums[mode] += bytesAllocated((device) => {
      const made = new Activations(device, shape, {
        training: mode === 'train',
        recompute: topology.train.recompute === 'layer',
        keepsRows: true,
        ranks,
        layers: { first, count: plan.blocks.length },
        head: plan.hasHead,
        ...(gradients === undefined ? {} : { gradients }),
      });
      if (mode === 'train') gradients = made.gradients;
      // Rows leave for other workers: it is made when the first do.
      const travels =
        shape.rowFormat === 'bf16' &&
        ranks > 1 &&
        plan.blocks.some((block) => isMoeLayer(topology.model, block));
      return travels ? made.travelling_UD : null;
    });
  }
  return sums;
}

/** What a worker of a stage allocates besides the states of its parameters. */
export function stageBuffers(
  topology: ResolvedTopology,
  layout: Layout,
  { pp: stage, tp }: Pick<Coordinates, 'pp' | 'tp'>,
): BufferBytes {
  const { model, data } = topology;
  const shape = shapeOf(topology, layout, tp);
  const passes = passBytes(topology, layout, { stage, shape });
  const statistics = bytesAllocated(
    (device) => new StageStatistics(device, model, layout.moeLayersOf(stage)),
  );
  const expert = topology.parallel.expertWorkers > 0 ? 0 : expertBytes(topology, shape);
  // A pass that has begun at a stage may have begun at the experts of its blocks.
  const expertPasses = layout
    .slotsOf(stage)
    .all.filter(({ mode }) => mode === 'train')
    .reduce((sum, { plan }) => sum + plan.blocks.filter((block) => isMoeLayer(model, block)).length, 0);
  return {
    activations: passes.train + expertPasses * expert,
    buffers: ropeBytes(model) + 2 * statistics + (data.holdout > 0 ? passes.evaluate : 0),
  };
}

/** The same of a worker that has experts of all layers and no stage. */
export function expertWorkerBuffers(
  topology: ResolvedTopology,
  layout: Layout,
  worker: WorkerRank,
): BufferBytes {
  const shape = shapeOf(topology, layout, 0);
  const activations = layout.layersOf(worker).map((layer) => {
    const stage = layout.stageOfBlock(layer);
    const { count } = layout.experts.sourcesOf(worker, stage);
    const passes = layout
      .slotsOf(stage)
      .all.filter(({ mode, plan }) => mode === 'train' && plan.blocks.includes(layer));
    return passes.length * expertBytes(topology, shape, { all: count, others: count });
  });
  return { activations: activations.reduce((sum, each) => sum + each, 0), buffers: 0 };
}
