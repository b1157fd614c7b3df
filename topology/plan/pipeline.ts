import type { Layout } from '../layout/layout.ts';
import { stageIndex } from '../layout/rank.ts';
import { inFlight, program, type PipelineKind } from '../pipeline.ts';
import type { ResolvedTopology } from '../resolved.ts';
import { timelineOf, type OperationTimes, type Timeline } from './timeline.ts';
import { chunkWork, timesWork } from './work.ts';

export interface PlannedStage {
  /** Layers, 0-based. */
  readonly blocks: readonly number[];
  /** Floating-point operations of one worker in a step, recomputation included. */
  readonly flops: number;
  /** Microbatches that it has begun and not ended, at most: so many sets of activations. */
  readonly inFlight: number;
}

/** How the stages of a replica share a step. */
export interface PlannedPipeline {
  readonly kind: PipelineKind;
  readonly chunks: number;
  readonly microbatches: number;
  /** Share of the stages' time in which they wait for each other, if time goes by FLOPs and messages take none. */
  readonly bubble: number;
  readonly stages: readonly PlannedStage[];
}

/** FLOPs of a worker for each operation of a microbatch, by stage and chunk: even load, and tensor ranks with equal parts. */
export function operationFlops(
  topology: ResolvedTopology,
  layout: Layout,
): readonly (readonly OperationTimes[])[] {
  const { model, train } = topology;
  const { pp, tp } = layout.mesh;
  const { kind } = layout.pipeline;
  const tokens = layout.dealing.microbatchSequences * model.seqLen;
  return Array.from({ length: pp }, (_, stage) =>
    layout.chunksOf(stageIndex(stage)).map((chunk) => {
      const work = timesWork(chunkWork(model, chunk), tokens / tp);
      const again = train.recompute === 'layer' ? work.again : 0;
      return kind === 'zero-bubble'
        ? { forward: work.forward, backward: work.backward + again, weights: work.weights }
        : { forward: work.forward, backward: work.backward + work.weights + again, weights: 0 };
    }),
  );
}

/** The step of a pipeline whose operations take as long as their FLOPs at one operation a unit of time. */
export function flopsTimeline(topology: ResolvedTopology, layout: Layout): Timeline {
  const { kind, chunks } = layout.pipeline;
  return timelineOf(
    { kind, chunks, microbatches: topology.train.microbatches },
    operationFlops(topology, layout),
  );
}

export function planPipeline(
  topology: ResolvedTopology,
  layout: Layout,
  timeline: Timeline,
): PlannedPipeline {
  const { kind, chunks } = layout.pipeline;
  const { microbatches } = topology.train;
  const stages = layout.mesh.pp;
  return {
    kind,
    chunks,
    microbatches,
    bubble: timeline.bubble,
    stages: timeline.busy.map((flops, stage) => ({
      blocks: layout.stagePlan(stageIndex(stage)).blocks,
      flops,
      inFlight: inFlight(program({ kind, stages, stage, microbatches, chunks })),
    })),
  };
}
