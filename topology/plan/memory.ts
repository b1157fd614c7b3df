import { papersMemory, type PapersMemory } from '@troupe/spec';
import { workerRank } from '../layout/rank.ts';
import type { Layout } from '../layout/layout.ts';
import type { Coordinates } from '../layout/mesh.ts';
import type { Placement, WorkerNode } from '../placement.ts';
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
  /** Copies of what other workers alone hold. */
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

/** Bytes of the states of a worker's parameters. */
function workerStates(
  topology: ResolvedTopology,
  { layout }: Pick<Placement, 'layout'>,
  rank: number,
): StateBytes & { readonly buddies: number; readonly host: number; readonly shards: number } {
  const worker = workerRank(rank);
  const groups = layout.groupsOf(worker);
  const copies = layout.wardsOf(worker).map((ward) => groupSizes(topology, layout, ward.group, ward.worker));
  const buddies = copies.reduce((sum, sizes) => sum + copyBytes(sizes), 0);
  const sums = { weights: 0, gradients: 0, master: 0, moments: 0, buddies, host: 0, shards: groups.length };
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
  const papersOf = (of: Pick<typeof parallel, 'dp'>, dense: number, expert: number) => {
    const source = { ...parallel, ...of, dense, expert };
    return { mixed: papersMemory(source, 'mixed'), f32: papersMemory(source, 'f32') };
  };
  const isApart = parallel.expertWorkers > 0;
  const parameters = stageParameters(topology, layout);
  const stages = parameters.map(({ dense, expert }) =>
    papersOf({ dp: parallel.dp }, dense, isApart ? 0 : expert),
  );
  const inAll = parameters.reduce((sum, { expert }) => sum + expert, 0);
  const known = new Map<string, BufferBytes>();
  const buffersOf = (at: Pick<Coordinates, 'pp' | 'tp'>): BufferBytes => {
    const key = `${at.pp}/${at.tp}`;
    const found = known.get(key) ?? stageBuffers(topology, layout, at);
    known.set(key, found);
    return found;
  };
  return placement.workers.flatMap(({ id, rank, coordinates }) => {
    const counted =
      coordinates === null ? papersOf({ dp: parallel.expertWorkers }, 0, inAll) : stages[coordinates.pp];
    if (counted === undefined) return [];
    const { shards, ...states } = workerStates(topology, placement, rank);
    const { activations, buffers: others } =
      coordinates === null ? expertWorkerBuffers(topology, layout, workerRank(rank)) : buffersOf(coordinates);
    const words = shards * SHARD_WORDS_BYTES;
    const buffers = others + words;
    const { weights, gradients, master, moments, buddies } = states;
    const host = states.host + (topology.parallel.offload === 'none' ? 0 : words);
    const device = weights + gradients + master + moments + buddies + activations + buffers - host;
    return [{ node: id, own: { ...states, activations, buffers, host, device }, papers: counted }];
  });
}
