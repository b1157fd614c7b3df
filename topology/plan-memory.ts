import {
  activationBytes,
  denseUnits,
  expertUnit,
  f32Memory,
  isMoeLayer,
  mixedPrecisionMemory,
  type F32Memory,
  type MemoryBytes,
} from '@troupe/spec';
import { stageIndex } from './layout/rank.ts';
import { stagePlan } from './layout/stage-plan.ts';
import type { Placement } from './placement.ts';
import type { ResolvedTopology } from './resolved.ts';

/** Parameters that one pipeline stage holds. */
export interface StageParameters {
  /** Layers, 0-based. */
  readonly layers: readonly number[];
  readonly dense: number;
  /** All routed experts of these layers. */
  readonly expert: number;
}

export interface DeviceMemory {
  /** `worker/0`. */
  readonly node: string;
  /** As built: f32, gradients as exact sums or finished. */
  readonly f32: F32Memory;
  /** The same layout with 16-bit weights and gradients, without activations: the table of the literature. */
  readonly mixed: MemoryBytes;
}

const sizeOf = (units: readonly { readonly size: number }[]): number =>
  units.reduce((sum, unit) => sum + unit.size, 0);

/** The parameters of each pipeline stage: the embedding with the first, the last norm and the head with the last. */
export function stageParameters({ model, parallel }: ResolvedTopology): readonly StageParameters[] {
  const units = denseUnits(model);
  return Array.from({ length: parallel.pp }, (_, pp) => {
    const { blocks, hasEmbedding, hasHead } = stagePlan(stageIndex(pp), {
      blocks: model.layers,
      pp: parallel.pp,
    });
    const mine = units.filter((unit) => {
      if (unit.layer !== null) return blocks.includes(unit.layer);
      return unit.id === 'embed' ? hasEmbedding : hasHead;
    });
    const moe = blocks.filter((layer) => isMoeLayer(model, layer));
    const each = moe[0] === undefined ? 0 : expertUnit(model, moe[0], 0).size;
    return { layers: blocks, dense: sizeOf(mine), expert: moe.length * (model.moe?.experts ?? 0) * each };
  });
}

/** Bytes on every device. Activations: what 1F1B keeps at most, pp - stage microbatches. */
export function planMemory(topology: ResolvedTopology, placement: Placement): readonly DeviceMemory[] {
  const { parallel, train, model } = topology;
  const { buddies } = topology.recovery;
  const stages = stageParameters(topology);
  const tokens = (train.batch / (parallel.dp * train.microbatches)) * model.seqLen;
  const byStage = stages.map((stage, pp) => {
    const inFlight = Math.min(train.microbatches, parallel.pp - pp);
    const activations =
      (inFlight * activationBytes(model, tokens, stage.layers, train.precision === 'bf16' ? 'bf16' : 'f32')) /
      parallel.tp;
    const layout = { ...parallel, dense: stage.dense, expert: stage.expert };
    return {
      f32: f32Memory(layout, { activations, buddies, microbatches: train.microbatches }),
      mixed: mixedPrecisionMemory(layout),
    };
  });
  return placement.workers.flatMap((worker) => {
    const bytes = byStage[worker.coordinates.pp];
    return bytes === undefined ? [] : [{ node: worker.id, ...bytes }];
  });
}
