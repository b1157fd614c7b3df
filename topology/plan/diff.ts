import type { Plan } from './plan.ts';
import { diffValues, type Difference } from '../trajectory.ts';

export interface PlanDiff {
  /** True when nothing would change. */
  readonly same: boolean;
  /** Keys of the topology. */
  readonly keys: readonly Difference[];
  /** Actors that live elsewhere, appear (before undefined) or vanish (after undefined); `key` is the address. */
  readonly actors: readonly Difference[];
  /** Bytes on the fullest device, bytes a device sends, FLOPs: only those that differ. */
  readonly figures: readonly Difference[];
}

const homes = (plan: Plan): Readonly<Record<string, string>> =>
  Object.fromEntries(plan.nodes.flatMap((node) => node.actors.map((actor) => [actor, node.node] as const)));

const figures = (plan: Plan): Readonly<Record<string, number>> => ({
  devices: plan.memory.length,
  deviceBytesMax: Math.max(0, ...plan.memory.map((device) => device.own.device)),
  sentBytesPerDevice: plan.traffic.perDevice.total,
  flopsPerStep: plan.flopsPerStep,
  parameters: plan.parameters.total,
});

/** What changes from one plan to another: keys, actors' homes, figures. */
export function diffPlans(before: Plan, after: Plan): PlanDiff {
  const flat = (
    a: Readonly<Record<string, unknown>>,
    b: Readonly<Record<string, unknown>>,
  ): readonly Difference[] =>
    [...new Set([...Object.keys(a), ...Object.keys(b)])]
      .filter((key) => a[key] !== b[key])
      .map((key) => ({ key, before: a[key], after: b[key] }));
  const keys = diffValues(before.topology, after.topology);
  const actors = flat(homes(before), homes(after));
  return {
    same: keys.length === 0 && actors.length === 0,
    keys,
    actors,
    figures: flat(figures(before), figures(after)),
  };
}
