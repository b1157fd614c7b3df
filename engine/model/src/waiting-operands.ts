import { isMoeLayer } from '@troupe/spec';
import type { Activations } from './activations.ts';
import { attentionBackward } from './attention.ts';
import type { DeviceBatch } from './batch.ts';
import { moeBackward } from './combine.ts';
import { DeferredWeights } from './deferred-weights.ts';
import { ffnBackward, residualFfnBackward, sharedFfn } from './ffn.ts';
import type { UnitTargets } from './flat-gradients.ts';
import { routerBackward } from './gate.ts';
import { StageStatistics } from './statistics.ts';
import type { MemoryRows } from './memory-rows.ts';
import type { StageContext } from './stage-context.ts';
import type { Step } from './step.ts';
import { isWhole } from './tensor-share.ts';

/** Weights, sums and tables that calls name and that no call that waits has a copy of. */
function contextOf(act: Activations, memory: MemoryRows | null): StageContext {
  const { device, shape } = act;
  const none = device.floats(0);
  const target = { values: device.int64s(0), overflow: device.ints(0) };
  const targets: UnitTargets = {
    view: () => target,
    part: () => target,
    span: () => target,
    get more() {
      return targets;
    },
  };
  return {
    shape,
    act,
    weights: { view: () => none, operand: () => none, part: () => none, span: () => none },
    gradients: targets,
    positions: { cos_S2: none, sin_S2: none, sines_SD: none },
    statistics: new StageStatistics(device, shape.config, []),
    ...(memory === null ? {} : { memory }),
  };
}

/**
 * Bytes of what gradients of matrices wait with, of one pass through the layers of `act`, without those of routed experts: the calls of a
 * backward pass are shown to {@link DeferredWeights}, so that nobody counts a second time what it copies.
 *
 * @param memory - what they read of an encoder; null: there is none
 */
export function waitingBytes(act: Activations, memory: MemoryRows | null): number {
  const { device, shape } = act;
  const ctx = contextOf(act, memory);
  const ids = device.ints(0);
  const seen = { firstSeen_T: ids, endSeen_T: ids };
  const batch: DeviceBatch = { ids_T: ids, targets_T: ids, ...seen, valid_T: device.bytes(0), cross: seen };
  const balance = { auxScale: 0, zScale: 0 };
  const behind = (layer: number): readonly Step[] => {
    if (!isMoeLayer(shape.config, layer)) return ffnBackward(ctx, layer);
    if (!isWhole(act.tensor)) return moeBackward(ctx, layer, batch, balance);
    // Of the gate's calls those that have a matrix; how its rows are combined is not known here.
    const shared = sharedFfn(ctx, layer);
    const ffn = shared === null ? [] : residualFfnBackward(ctx, layer, { ...shared, accumulate: true });
    return [{ calls: [...routerBackward(ctx, layer, batch, balance), ...ffn] }];
  };
  const deferred = new DeferredWeights(act);
  for (let layer = act.firstLayer + act.numLayers - 1; layer >= act.firstLayer; layer--) {
    deferred.defer(behind(layer));
    deferred.defer(attentionBackward(ctx, layer, batch));
  }
  return deferred.bytes;
}
