import type { Address } from '@troupe/core';
import type { Layout, WorkerRank } from '@troupe/topology/layout';

/** Names of the actors of a worker that an attempt concerns, by role. */
export interface Roster {
  readonly stages: readonly Address[];
  readonly passes: readonly Address[];
  readonly gates: readonly Address[];
  readonly experts: readonly Address[];
  readonly couriers: readonly Address[];
  readonly shards: readonly Address[];
  readonly wards: readonly Address[];
}

/** Who lives on a worker or host but a feeder, which knows of no attempts. */
export function rosterOf(layout: Layout, worker: WorkerRank): Roster {
  const layers = layout.layersOf(worker);
  const hasStage = layout.hasStage(worker);
  const slots = hasStage ? layout.slotsOf(layout.at(worker).pp).all : [];
  const groups = layout.isHost(worker) ? [] : layout.groupsOf(worker);
  return {
    stages: hasStage ? [layout.stageOf(worker)] : [],
    passes: slots.map(({ index }) => layout.passOf(worker, index)),
    gates: hasStage ? layers.flatMap((layer) => layout.gatesOf(layer, worker)) : [],
    experts:
      layout.expertPlaceOf(worker) === null ? [] : layers.map((layer) => layout.expertOf(layer, worker)),
    couriers: groups.flatMap((group) => layout.courierOf(group, worker) ?? []),
    shards: layout.shardsAt(worker).map((shard) => layout.shardOf(shard.group, shard.worker)),
    wards: layout.wardsOf(worker).map((ward) => layout.wardOf(ward.group, ward.worker)),
  };
}

/**
 * The order in which actors of a worker hear of a new attempt: the first from the trainer, whatever its role, and the others from it.
 *
 * REC-2: shards and copies, which answer the trainer, come last.
 */
export function hearingOrder(layout: Layout, worker: WorkerRank): readonly Address[] {
  const { stages, passes, gates, experts, couriers, shards, wards } = rosterOf(layout, worker);
  return [...stages, ...passes, ...gates, ...experts, ...couriers, ...shards, ...wards];
}
