import { hiddenInputs } from '@troupe/kernel-set';
import { Activations, StageStatistics, type StageShape } from '@troupe/model/buffers';
import { isMoeLayer, type ModelConfig } from '@troupe/spec';
import type { Layout } from '../layout/layout.ts';
import type { StageIndex } from '../layout/rank.ts';
import type { StagePlan } from '../layout/stage-plan.ts';
import { program, slotsOf } from '../pipeline.ts';
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

const shapeOf = ({ model, train }: ResolvedTopology, { dealing }: Layout): StageShape => ({
  config: model,
  sequences: dealing.microbatchSequences,
  grains: dealing.microbatchGrains,
  precision: train.precision === 'bf16' ? 'bf16' : 'f32',
});

/** Bytes of the buffers of one pass through a run of blocks. */
function passBytes(
  shape: StageShape,
  chunk: StagePlan,
  options: { ranks: number; training: boolean },
): number {
  const [first = 0] = chunk.blocks;
  const layers = { first, count: chunk.blocks.length };
  return bytesAllocated(
    (device) => new Activations(device, shape, { ...options, layers, head: chunk.hasHead }),
  );
}

const ropeBytes = ({ seqLen, headDim }: ModelConfig): number => 2 * 4 * seqLen * (headDim / 2);

/** What the expert group of a worker keeps of one pass at even load: room for the outputs of other workers' rows, and pre-activations. */
export function expertBytes(topology: ResolvedTopology, shape: StageShape): number {
  const { model, parallel } = topology;
  if (model.moe === null) return 0;
  const { topK, dExpert } = model.moe;
  const narrow = shape.precision === 'bf16' ? 2 : 4;
  const rows = (shape.sequences * model.seqLen * topK) / parallel.ep;
  const room = (length: number): number => Math.ceil(length * SLACK);
  const saved = narrow * room(parallel.ep * rows * hiddenInputs(model.ffn.activation) * dExpert);
  return saved + (parallel.ep - 1) * 2 * 4 * room(rows * model.dModel);
}

/** What a worker of a stage allocates besides the states of its parameters. */
export function stageBuffers(topology: ResolvedTopology, layout: Layout, stage: StageIndex): BufferBytes {
  const { model, train, data } = topology;
  const { kind, chunks } = layout.pipeline;
  const { microbatches } = train;
  const shape = shapeOf(topology, layout);
  const ranks = layout.mesh.ep;
  const operations = program({ kind, stages: layout.mesh.pp, stage, microbatches, chunks });
  const slots = slotsOf(operations, chunks).counts;
  const plans = layout.chunksOf(stage);
  const statistics = bytesAllocated((device) => new StageStatistics(device, model));
  const numMoe = (blocks: readonly number[]): number =>
    blocks.filter((block) => isMoeLayer(model, block)).length;
  const sum = (of: (chunk: StagePlan, index: number) => number): number =>
    plans.reduce((total, chunk, index) => total + of(chunk, index), 0);
  const evaluates = data.holdout > 0;
  return {
    activations: sum(
      (chunk, index) =>
        (slots[index] ?? 0) * passBytes(shape, chunk, { ranks, training: true }) +
        numMoe(chunk.blocks) * expertBytes(topology, shape),
    ),
    buffers:
      ropeBytes(model) +
      (evaluates ? 2 : 1) * statistics +
      (evaluates ? sum((chunk) => passBytes(shape, chunk, { ranks, training: false })) : 0),
  };
}
