import { denseUnits, expertUnit, isMoeLayer } from '@troupe/spec';
import { Layout } from '../layout/layout.ts';
import { stageIndex } from '../layout/rank.ts';
import type { ResolvedTopology } from '../resolved.ts';

/** Parameters that one pipeline stage holds. */
export interface StageParameters {
  /** Layers, 0-based. */
  readonly layers: readonly number[];
  readonly dense: number;
  /** All routed experts of these layers. */
  readonly expert: number;
}

const sizeOf = (units: readonly { readonly size: number }[]): number =>
  units.reduce((sum, unit) => sum + unit.size, 0);

/** The parameters of each pipeline stage: the embedding with the first, the last norm and the head with the last. */
export function stageParameters(
  topology: ResolvedTopology,
  layout = new Layout(topology),
): readonly StageParameters[] {
  const { model } = topology;
  const units = denseUnits(model);
  return Array.from({ length: layout.mesh.pp }, (_, pp) => {
    const { blocks, hasEmbedding, hasHead } = layout.stagePlan(stageIndex(pp));
    const mine = units.filter((unit) => {
      if (unit.layer !== null) return blocks.includes(unit.layer);
      return unit.id === 'embed' ? hasEmbedding : hasHead;
    });
    const moe = blocks.filter((layer) => isMoeLayer(model, layer));
    const each = moe[0] === undefined ? 0 : expertUnit(model, moe[0], 0).size;
    return { layers: blocks, dense: sizeOf(mine), expert: moe.length * (model.moe?.experts ?? 0) * each };
  });
}
