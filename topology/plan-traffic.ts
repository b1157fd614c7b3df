import type { NodeId } from '@troupe/core';
import { gradientBytes, lonelyElements, moeLayers, visitShare, type ExchangeLevel } from '@troupe/spec';
import { GroupExchange } from './layout/group-exchange.ts';
import { Layout } from './layout/layout.ts';
import { isLocalHost } from './layout/machine-row.ts';
import type { ParameterGroup } from './layout/parameter-group.ts';
import { stageIndex, type StageIndex } from './layout/rank.ts';
import type { Placement, WorkerNode } from './placement.ts';
import { stageParameters } from './plan-memory.ts';
import type { ResolvedTopology } from './resolved.ts';

/** Bytes of one step by what they carry. */
export interface TrafficBytes {
  /** Rows to experts, forward: each token once per rank that it visits. */
  readonly dispatch: number;
  /** Experts' outputs back, a row per choice. */
  readonly combine: number;
  /** Gradients of outputs to experts (once per token) and of inputs back (per choice). */
  readonly backward: number;
  /** Activations and their gradients between pipeline stages. */
  readonly pipeline: number;
  /** Exact int64 gradient sums to the shards that own them, 8 bytes an element. */
  readonly gradients: number;
  /** New weights from the shards that own them, 4 bytes an element. */
  readonly weights: number;
  /** The finished gradients of what one worker alone owns, to the buddy that keeps it too: 8 bytes an element, 4 where they are f32. */
  readonly buddies: number;
  readonly total: number;
}

/** One direction between two workers. */
export interface Link {
  readonly from: string;
  readonly to: string;
  /** Inside a machine, or between two. */
  readonly kind: 'ipc' | 'tcp';
  readonly bytes: TrafficBytes;
}

type Kind = Exclude<keyof TrafficBytes, 'total'>;

/** In the order in which they are shown. */
export const trafficKinds = [
  'dispatch',
  'combine',
  'backward',
  'pipeline',
  'gradients',
  'weights',
  'buddies',
] as const satisfies readonly Kind[];

/** Beyond this many workers the list of links is left out: it grows with their square. */
const MAX_WORKERS_FOR_LINKS = 256;

function addTraffic(parts: readonly Partial<Record<Kind, number>>[]): TrafficBytes {
  const sum = (kind: Kind): number => parts.reduce((total, part) => total + (part[kind] ?? 0), 0);
  const each = Object.fromEntries(trafficKinds.map((kind) => [kind, sum(kind)])) as Record<Kind, number>;
  return { ...each, total: trafficKinds.reduce((total, kind) => total + each[kind], 0) };
}

const rowBytes = (topology: ResolvedTopology): number =>
  topology.model.dModel * (topology.wire.dtype === 'f32' ? 4 : 2);

/** What a gate and an expert rank send each other in one layer and step when choices are even. */
function rowsPerPair(topology: ResolvedTopology): { readonly there: number; readonly back: number } {
  const { model, parallel, train } = topology;
  if (model.moe === null) return { there: 0, back: 0 };
  const tokens = (train.batch / parallel.dp) * model.seqLen;
  const { experts, topK } = model.moe;
  const there = tokens * visitShare(experts, experts / parallel.ep, topK) * rowBytes(topology);
  return { there, back: ((tokens * topK) / parallel.ep) * rowBytes(topology) };
}

type UpdateBytes = Readonly<Record<'gradients' | 'weights', number>>;

/**
 * Bytes that a rank sends to one other of its group for the update, at each level of the exchange: a share of the leaves on the way down; on
 * the way up new weights, or under ZeRO 0, where everybody updates everything, the finished sums.
 */
function updateBytes(
  { parallel }: ResolvedTopology,
  levels: readonly ExchangeLevel[],
  elements: number,
): readonly UpdateBytes[] {
  return levels.map(({ size, stride }) => {
    const part = elements / (size * stride);
    return parallel.zero === 0
      ? { gradients: 16 * part, weights: 0 }
      : { gradients: 8 * part, weights: 4 * part };
  });
}

/** What the plan counts of a worker's parameter groups; of norms and tied tables, which are small or not built, it counts one copy. */
interface PlannedGroup {
  readonly group: ParameterGroup;
  /** Elements that a worker has of it, without padding. */
  readonly held: number;
  /** Elements of its slice that no other worker has. */
  readonly lonely: number;
}

function plannedGroups(topology: ResolvedTopology, layout: Layout, pp: StageIndex): readonly PlannedGroup[] {
  const { parallel } = topology;
  const { ep, tp } = parallel;
  const { dense, expert } = stageParameters(topology)[pp] ?? { dense: 0, expert: 0 };
  const held = { dense: dense / tp, expert: expert / ep / tp };
  const lonely = lonelyElements({ ...parallel, dense, expert });
  const worker = layout.mesh.rankOf({ pp, dp: 0, tp: 0 });
  return layout.groupsOf(worker).flatMap((group) => {
    const { name } = group;
    return name === 'dense' || name === 'expert' ? [{ group, held: held[name], lonely: lonely[name] }] : [];
  });
}

/** Bytes that a worker sends to its buddy for a group. */
const buddyBytes = ({ train, recovery }: ResolvedTopology, { group, lonely }: PlannedGroup): number =>
  recovery.buddies ? gradientBytes(group.holders.count, train.microbatches) * lonely : 0;

/**
 * Bytes a worker sends in one step under the default placement, by formula: the mean over a pipeline's stages.
 * Traffic inside a tensor-parallel group is not modelled.
 */
export function trafficPerDevice(topology: ResolvedTopology): TrafficBytes {
  const { model, parallel, train } = topology;
  const { dp, ep, pp } = parallel;
  const layout = new Layout(topology);
  const numMoe = moeLayers(model).length;
  const { there, back } = rowsPerPair(topology);
  const others = (numMoe * (ep - 1)) / (pp * parallel.tp);
  const tokens = (train.batch / dp) * model.seqLen;
  const parts: Partial<Record<Kind, number>>[] = [
    { dispatch: others * there, combine: others * back, backward: others * (there + back) },
    { pipeline: (2 * (pp - 1) * tokens * rowBytes(topology)) / pp },
  ];
  for (let stage = 0; stage < pp; stage++) {
    for (const planned of plannedGroups(topology, layout, stageIndex(stage))) {
      const levels = planned.group.exchange;
      updateBytes(topology, levels, planned.held).forEach(({ gradients, weights }, level) => {
        const others = (levels[level]?.size ?? 1) - 1;
        parts.push({ gradients: (others * gradients) / pp, weights: (others * weights) / pp });
      });
      parts.push({ buddies: buddyBytes(topology, planned) / pp });
    }
  }
  return addTraffic(parts);
}

/** Bytes that go from one node to another. */
interface Flow {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly part: Partial<Record<Kind, number>>;
}

function* rowFlows(topology: ResolvedTopology, { layout, actors, nodeOf }: Placement): Generator<Flow> {
  const { there, back } = rowsPerPair(topology);
  for (const { role, address, node } of actors) {
    if (role !== 'gate') continue;
    const [, layer, pp, dp] = address.split('/');
    const home = layout.mesh.rankOf({ pp: Number(pp?.slice(2)), dp: Number(dp?.slice(2)), tp: 0 });
    for (const expert of layout.expertsFor(Number(layer?.slice(1)), home)) {
      yield { from: node, to: nodeOf(expert), part: { dispatch: there, backward: there } };
      yield { from: nodeOf(expert), to: node, part: { combine: back, backward: back } };
    }
  }
}

function* pipelineFlows(topology: ResolvedTopology, { layout, nodeOf }: Placement): Generator<Flow> {
  const { mesh } = layout;
  const pipeline = (topology.train.batch / mesh.dp) * topology.model.seqLen * rowBytes(topology);
  for (const worker of layout.workers()) {
    const stage = layout.at(worker).pp;
    if (stage + 1 === mesh.pp) continue;
    const here = nodeOf(layout.stageOf(worker));
    const next = nodeOf(layout.stageOf(mesh.peers('pp', worker).at(stage + 1)));
    yield { from: here, to: next, part: { pipeline } };
    yield { from: next, to: here, part: { pipeline } };
  }
}

/** What shards send each other: to buddies first, then dense, then expert parameters. */
function* shardFlows(topology: ResolvedTopology, { layout, nodeOf }: Placement): Generator<Flow> {
  const planned = Array.from({ length: layout.mesh.pp }, (_, pp) =>
    plannedGroups(topology, layout, stageIndex(pp)),
  );
  const shards = [...layout.workers()].flatMap((worker) =>
    (planned[layout.at(worker).pp] ?? []).map((each) => ({
      ...each,
      worker,
      group: layout.groupOf(worker, each.group.name),
    })),
  );
  for (const shard of shards) {
    const { group, worker } = shard;
    const buddy = layout.buddyOf(group, worker);
    if (buddy === null) continue;
    const [from, to] = [nodeOf(layout.shardOf(group, worker)), nodeOf(layout.shardOf(group, buddy))];
    yield { from, to, part: { buddies: buddyBytes(topology, shard) } };
  }
  for (const name of ['dense', 'expert'] as const) {
    for (const { group, worker, held } of shards) {
      if (group.name !== name) continue;
      const from = nodeOf(layout.shardOf(group, worker));
      const bytes = updateBytes(topology, group.exchange, held);
      const among = new GroupExchange(group, worker);
      for (const [level, part] of bytes.entries())
        for (const other of among.others(level))
          yield { from, to: nodeOf(layout.shardOf(group, other.worker)), part };
    }
  }
}

/** Every pair of workers that talk in a step and how much, by where actors live; null beyond 256 workers. */
export function planLinks(topology: ResolvedTopology, placement: Placement): readonly Link[] | null {
  const { layout, workers } = placement;
  if (layout.mesh.world > MAX_WORKERS_FOR_LINKS) return null;
  const nodes = new Map<string, WorkerNode>(workers.map((worker) => [worker.id, worker]));
  const sums = new Map<string, { from: WorkerNode; to: WorkerNode; parts: Flow['part'][] }>();
  const flows = [rowFlows, pipelineFlows, shardFlows].flatMap((each) => [...each(topology, placement)]);
  for (const flow of flows) {
    const [from, to] = [nodes.get(flow.from), nodes.get(flow.to)];
    if (flow.from === flow.to || from === undefined || to === undefined) continue;
    const key = `${flow.from} ${flow.to}`;
    const link = sums.get(key) ?? { from, to, parts: [] };
    link.parts.push(flow.part);
    sums.set(key, link);
  }
  return [...sums.values()].map(({ from, to, parts }) => ({
    from: from.id,
    to: to.id,
    kind:
      from.machineIndex === to.machineIndex || (isLocalHost(from.host) && isLocalHost(to.host))
        ? 'ipc'
        : 'tcp',
    bytes: addTraffic(parts),
  }));
}
