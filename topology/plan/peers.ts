import type { NodeId } from '@troupe/core';
import { GroupExchange } from '../layout/group-exchange.ts';
import type { Layout } from '../layout/layout.ts';
import { dataRank, workerRank, type WorkerRank } from '../layout/rank.ts';
import type { Placement } from '../placement.ts';
import type { ResolvedTopology } from '../resolved.ts';
import { choiceBytes } from './choice-traffic.ts';

type Where = Pick<Placement, 'layout' | 'nodeOf'>;

/** Workers and hosts that the process of a worker or host exchanges tensors with in a step, itself not among them. */
export function peersOf(topology: ResolvedTopology, where: Where, node: WorkerRank): ReadonlySet<NodeId> {
  const { layout } = where;
  const found = new Set<NodeId>();
  if (!layout.isHost(node)) {
    for (const peer of rowPeers(topology, where, node)) found.add(peer);
    for (const peer of leafPeers(layout, node)) found.add(layout.nodeOf(peer));
  }
  for (const peer of shardPeers(layout, node)) found.add(layout.nodeOf(peer));
  found.delete(layout.nodeOf(node));
  return found;
}

/** Where rows, tokens and the residual stream of a worker go to and come from. */
function* rowPeers(
  topology: ResolvedTopology,
  { layout, nodeOf }: Where,
  worker: WorkerRank,
): Generator<NodeId> {
  const [layer] = layout.layersOf(worker);
  // A stage whose experts are elsewhere has layers, and none of these.
  if (layer !== undefined && layout.experts.of(worker) !== null)
    for (const gate of layout.gatesFor(layer, worker)) yield nodeOf(gate);
  if (!layout.hasStage(worker)) return;
  const { pp, dp } = layout.at(worker);
  // Layers of a stage have their experts on the same workers.
  const [first] = layout.moeLayersOf(pp);
  if (first !== undefined) for (const expert of layout.expertsFor(first, worker)) yield nodeOf(expert);
  const replicas = layout.mesh.peers('dp', worker);
  for (const { peer } of choiceBytes(topology, layout, dataRank(dp))) yield layout.nodeOf(replicas.at(peer));
  for (let chunk = 0; chunk < layout.pipeline.chunks; chunk++)
    for (const neighbour of [layout.nextOf(worker, chunk), layout.previousOf(worker, chunk)])
      if (neighbour !== null) yield nodeOf(neighbour.stage);
  for (const peer of layout.peersOf(worker)) yield layout.nodeOf(peer);
  yield nodeOf(layout.feederOf(worker));
  if (layout.hasFeeder(worker)) for (const stage of layout.stagesOf(dataRank(dp))) yield nodeOf(stage);
}

/** The shards that a worker sends leaves to, and gets weights from. */
function* leafPeers(layout: Layout, worker: WorkerRank): Generator<WorkerRank> {
  yield layout.homeOf(worker);
  for (const group of layout.groupsOf(worker)) {
    for (const other of new GroupExchange(group, worker).others(0)) yield layout.homeOf(other.worker);
    if (layout.isGathered(group)) for (const other of group.holders) yield layout.homeOf(other);
  }
}

/** Who exchanges sums and weights with the shards at a worker or host, and who keeps copies of them. */
function* shardPeers(layout: Layout, node: WorkerRank): Generator<WorkerRank> {
  for (const { group, worker } of layout.shardsAt(node)) {
    yield worker;
    const among = new GroupExchange(group, worker);
    for (const level of group.exchange.keys())
      for (const other of among.others(level)) {
        yield layout.homeOf(other.worker);
        if (level === 0) yield other.worker;
      }
    if (layout.isGathered(group)) yield* group.holders;
    const buddy = layout.buddyOf(group, worker);
    if (buddy !== null) yield buddy;
  }
  for (const ward of layout.wardsOf(node)) yield layout.homeOf(ward.worker);
}

/** Workers and hosts with the most peers: all of them, or of a large cluster one of every kind. */
export function* typicalNodes(layout: Layout, limit: number): Generator<WorkerRank> {
  if (layout.numWorkers <= limit) {
    yield* layout.nodes();
    return;
  }
  const { pp, world } = layout.mesh;
  for (let stage = 0; stage < pp; stage++) yield layout.mesh.rankOf({ pp: stage, dp: 0, tp: 0 });
  if (layout.numWorkers > world) yield workerRank(world);
  const [host] = layout.hosts();
  if (host !== undefined) yield host;
}
