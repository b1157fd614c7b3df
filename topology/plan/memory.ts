import { assert } from '@troupe/core';
import { papersMemory, type PapersMemory } from '@troupe/spec';
import type { Layout, ShardPlace } from '../layout/layout.ts';
import type { Coordinates } from '../layout/mesh.ts';
import type { ParameterGroup } from '../layout/parameter-group.ts';
import type { WorkerRank } from '../layout/rank.ts';
import type { WorkerNode } from '../placement.ts';
import type { ResolvedTopology } from '../resolved.ts';
import { expertWorkerBuffers, stageBuffers, type BufferBytes } from './stage-buffers.ts';
import { stageParameters } from './stage-parameters.ts';
import {
  copyBytes,
  groupSizes,
  SHARD_WORDS_BYTES,
  stateBytes,
  stateMode,
  type StateBytes,
} from './states.ts';

/** Where the bytes of a worker go, as the actors allocate them. */
export interface OwnMemory extends StateBytes, BufferBytes {
  /** Copies of what others alone hold; those of a host's shards that another machine's host keeps count where the shards do. */
  readonly buddies: number;
  /** In host memory; everything else is on the device. */
  readonly host: number;
  /** Bytes on the device. */
  readonly device: number;
}

export interface DeviceMemory {
  /** `worker/0`. */
  readonly node: string;
  /** As Troupe allocates it: exact int64 gradient sums, f32 master weights, padding. */
  readonly own: OwnMemory;
  /** The same layout as the papers count it, 2 + 2 + 12 bytes a parameter, without activations; and in f32 alone. */
  readonly papers: { readonly mixed: PapersMemory; readonly f32: PapersMemory };
}

/** The copies of shards that a worker keeps, or that hosts keep of its own. */
interface Copies {
  readonly on: 'device' | 'host';
  readonly shards: readonly ShardPlace[];
}

function copiesOf(layout: Layout, worker: WorkerRank): Copies {
  const hosted = layout.groupsOf(worker).filter((group) => {
    const buddy = layout.buddyOf(group, worker);
    return buddy !== null && layout.isHost(buddy);
  });
  return hosted.length > 0
    ? { on: 'host', shards: hosted.map((group) => ({ group, worker })) }
    : { on: 'device', shards: layout.wardsOf(worker) };
}

/** Bytes of the states of a worker's parameters. */
function workerStates(
  topology: ResolvedTopology,
  layout: Layout,
  worker: WorkerRank,
): StateBytes & { readonly buddies: number; readonly host: number; readonly shards: number } {
  const groups = layout.groupsOf(worker);
  const { on, shards } = copiesOf(layout, worker);
  const buddies = shards.reduce(
    (sum, each) => sum + copyBytes(groupSizes(topology, layout, each.group, each.worker)),
    0,
  );
  const sums = { weights: 0, gradients: 0, master: 0, moments: 0, buddies, host: 0, shards: groups.length };
  if (on === 'host') sums.host += buddies;
  for (const group of groups) {
    const bytes = stateBytes(groupSizes(topology, layout, group, worker), stateMode(topology, layout, group));
    sums.weights += bytes.weights;
    sums.gradients += bytes.gradients;
    sums.master += bytes.master;
    sums.moments += bytes.moments;
    sums.host += bytes.host;
  }
  return sums;
}

/** Parameters of a group that one of its holders updates, as the papers count: evenly, without padding. */
const updated = (layout: Layout, { units, holders }: ParameterGroup): number =>
  units.reduce((sum, { size }) => sum + size, 0) / (layout.zero === 0 ? 1 : holders.count);

/** Bytes on every device, or on those of some workers. */
export function planMemory(
  topology: ResolvedTopology,
  placement: {
    readonly layout: Layout;
    readonly workers: readonly Pick<WorkerNode, 'id' | 'rank' | 'coordinates'>[];
  },
): readonly DeviceMemory[] {
  const { layout } = placement;
  const { parallel } = topology;
  const isApart = parallel.expertWorkers > 0;
  const parameters = stageParameters(topology, layout);
  const inAll = parameters.reduce((sum, { expert }) => sum + expert, 0);
  const papersOf = (worker: WorkerRank, at: Coordinates | null): DeviceMemory['papers'] => {
    const counted = at === null ? { dense: 0, expert: inAll } : parameters[at.pp];
    assert(counted, 'a worker has a stage of the pipeline', { worker });
    const { dense, expert } = counted;
    const { on, shards } = copiesOf(layout, worker);
    const source = {
      ...parallel,
      dp: at === null ? parallel.expertWorkers : parallel.dp,
      dense,
      expert: isApart && at !== null ? 0 : expert,
      copied: shards.reduce((sum, { group }) => sum + updated(layout, group), 0),
      copiesOn: on,
    };
    return { mixed: papersMemory(source, 'mixed'), f32: papersMemory(source, 'f32') };
  };
  const known = new Map<string, BufferBytes>();
  const buffersOf = (at: Pick<Coordinates, 'pp' | 'tp'>): BufferBytes => {
    const key = `${at.pp}/${at.tp}`;
    const found = known.get(key) ?? stageBuffers(topology, layout, at);
    known.set(key, found);
    return found;
  };
  return placement.workers.map(({ id, rank, coordinates }) => {
    const { shards, ...states } = workerStates(topology, layout, rank);
    const { buffers: others, ...passes } =
      coordinates === null ? expertWorkerBuffers(topology, layout, rank) : buffersOf(coordinates);
    const words = shards * SHARD_WORDS_BYTES;
    const buffers = others + words;
    const { weights, gradients, master, moments, buddies } = states;
    const host = states.host + (parallel.offload === 'none' ? 0 : words);
    const device = weights + gradients + master + moments + buddies + passes.activations + buffers - host;
    return {
      node: id,
      own: { ...states, ...passes, buffers, host, device },
      papers: papersOf(rank, coordinates),
    };
  });
}
