import type { NodeId } from '@troupe/core';
import { meanChoices, moeLayers, positionsOf, seqLenOf, visitedShare, type ElementRange } from '@troupe/spec';
import { GroupExchange } from '../layout/group-exchange.ts';
import { Layout } from '../layout/layout.ts';
import { isLocalHost } from '../layout/machine-row.ts';
import type { ParameterGroup } from '../layout/parameter-group.ts';
import type { WorkerRank } from '../layout/rank.ts';
import { WEIGHT_ROOMS, type Segment } from '../layout/segment.ts';
import {
  createPlacement,
  type HostNode,
  type PlacedNode,
  type Placement,
  type WorkerNode,
} from '../placement.ts';
import { groupSizes, heldBytes } from './states.ts';
import { choiceBytes, meanChoiceBytes } from './choice-traffic.ts';
import { dealtShare, tensorBytes } from './tensor-traffic.ts';
import type { ResolvedTopology } from '../resolved.ts';

/** Bytes of one step by what they carry. */
export interface TrafficBytes {
  /**
   * Rows to experts, forward: each token once per rank that it visits. Where experts choose among sequences of several replicas also their
   * candidates and thresholds.
   */
  readonly dispatch: number;
  /** Experts' outputs back, a row per choice. */
  readonly combine: number;
  /** Gradients of outputs to experts (once per token) and of inputs back (per choice). */
  readonly backward: number;
  /** Activations of all streams, and their gradients, between pipeline stages. */
  readonly pipeline: number;
  /** Exact int64 gradient sums to the shards that own them, 8 bytes an element. */
  readonly gradients: number;
  /** New weights from the shards that own them: 4 bytes an element, 2 where they are read in bf16. */
  readonly weights: number;
  /** Partial sums of activations between the workers that share matrices. */
  readonly tensor: number;
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
  'tensor',
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

/**
 * What a gate and an expert rank send each other in one layer and step when choices are even. Tensor peers with parts of experts dispatch all
 * tokens each, and get a result of every segment back; those with whole experts dispatch some of the tokens each.
 *
 * @param dealt - the share of the replica's tokens that the gate dispatches
 */
function rowsPerPair(
  topology: ResolvedTopology,
  layer: number,
  dealt: number,
): { readonly there: number; readonly back: number } {
  const { model, parallel, train } = topology;
  if (model.moe === null) return { there: 0, back: 0 };
  const { tp, expertsSliced } = parallel;
  const tokens = (train.batch / parallel.dp) * seqLenOf(model, layer) * dealt;
  const { moe } = model;
  const there = tokens * visitedShare(moe, moe.experts / parallel.ep) * rowBytes(topology);
  const results = expertsSliced ? Math.max(1, train.tensorSegments / tp) : train.tensorSegments;
  return { there, back: ((tokens * meanChoices(moe)) / parallel.ep) * results * rowBytes(topology) };
}

/** Of an exact leaf, or a sum of some. */
const LEAF_BYTES = 8;

type UpdateBytes = Readonly<Record<'gradients' | 'weights', number>>;

/**
 * Bytes of an element that a rank sends to one other of its group for the update, at each level of the exchange: leaves on the way down; on
 * the way up new weights (times the bytes in which they are held), or under ZeRO 0, where everybody updates everything, the finished sums.
 */
const updateBytes = ({ parallel }: ResolvedTopology): UpdateBytes =>
  parallel.zero === 0 ? { gradients: 16, weights: 0 } : { gradients: 8, weights: 1 };

/** How often in a step a group's leaves travel: once, or after every microbatch. */
const leavings = ({ train }: ResolvedTopology, layout: Layout, group: ParameterGroup): number =>
  layout.hasCourier(group) ? train.microbatches : 1;

/**
 * How often in a step a worker gathers a segment of a group, by the length of the segment: those that are in its window where a pass turns
 * round, or the next one begins, it has already.
 */
function gatherings({ train }: ResolvedTopology, { segments }: ParameterGroup): (segment: Segment) => number {
  const counts = new Map<number, number>();
  for (const { from, to } of segments) counts.set(to - from, (counts.get(to - from) ?? 0) + 1);
  return ({ from, to }) => {
    const count = counts.get(to - from) ?? 1;
    return 1 + ((2 * train.microbatches - 1) * Math.max(0, count - WEIGHT_ROOMS)) / count;
  };
}

/** Bytes of what lies in a range of a group and is gathered, times how often it is. */
function gatheredBytes(topology: ResolvedTopology, group: ParameterGroup, range: ElementRange): number {
  const times = gatherings(topology, group);
  return group.segments.reduce((sum, segment) => {
    const [from, to] = [Math.max(range.from, segment.from), Math.min(range.to, segment.to)];
    return from >= to ? sum : sum + times(segment) * heldBytes(topology, group, { from, to });
  }, 0);
}

function* tensorFlows(topology: ResolvedTopology, { layout, nodeOf }: Placement): Generator<Flow> {
  for (const worker of layout.stageWorkers()) {
    const tensor = tensorBytes(topology, layout, worker);
    if (tensor === 0) continue;
    for (const peer of layout.peersOf(worker))
      if (peer !== worker)
        yield { from: nodeOf(layout.stageOf(worker)), to: nodeOf(layout.stageOf(peer)), part: { tensor } };
  }
}

/** Bytes that a worker sends to its buddy for a group: the finished gradient of its slice. */
function buddyBytes(
  topology: ResolvedTopology,
  layout: Layout,
  group: ParameterGroup,
  worker: WorkerRank,
): number {
  if (layout.buddyOf(group, worker) === null) return 0;
  const { owned, ownedStored } = groupSizes(topology, layout, group, worker);
  return 8 * owned - 4 * ownedStored;
}

/**
 * Bytes a worker sends in one step, by formula: the mean over a pipeline's stages; over all workers, where some hold no stage.
 */
export function trafficPerDevice(topology: ResolvedTopology, layout = new Layout(topology)): TrafficBytes {
  const { model, parallel } = topology;
  if (parallel.expertWorkers > 0) return meanTraffic(topology);
  const { ep, pp } = parallel;
  const layers = moeLayers(model);
  const rows = layers.map((layer) => {
    const { there, back } = rowsPerPair(topology, layer, parallel.expertsSliced ? 1 : 1 / parallel.tp);
    const others = (ep - 1) / pp;
    return { dispatch: others * there, combine: others * back, backward: others * (there + back) };
  });
  const parts: Partial<Record<Kind, number>>[] = [
    { dispatch: (layers.length / pp) * meanChoiceBytes(topology, layout) },
    ...rows,
    { pipeline: (2 * (pp * parallel.chunks - 1) * hopBytes(topology)) / pp },
  ];
  const { gradients, weights } = updateBytes(topology);
  const sums = gradients - LEAF_BYTES;
  for (let stage = 0; stage < pp; stage++) {
    const worker = layout.mesh.rankOf({ pp: stage, dp: 0, tp: 0 });
    for (const peer of layout.peersOf(worker)) {
      const sums = tensorBytes(topology, layout, peer);
      parts.push({ tensor: ((parallel.tp - 1) * sums) / (parallel.tp * pp) });
    }
    for (const group of layout.groupsOf(worker)) {
      const { length } = group.flat;
      const whole = { from: 0, to: length };
      const isGathered = layout.isGathered(group);
      const held = isGathered ? 0 : heldBytes(topology, group, whole);
      const leaves = leavings(topology, layout, group) * length;
      for (const [level, { size, stride }] of group.exchange.entries()) {
        // A mean: parts are as even as whole blocks allow, and every element has one owner.
        const share = (size - 1) / (size * stride * pp);
        const apart = shareApart(layout, group, worker, level);
        // Leaves come from the device itself; what is passed on comes from shards.
        const passed = (level === 0 ? 1 : apart) * leaves * LEAF_BYTES + apart * length * sums;
        parts.push({ gradients: share * passed, weights: weights * share * apart * held });
      }
      const { count } = group.holders;
      if (isGathered)
        parts.push({ weights: (gatheredBytes(topology, group, whole) * (count - 1)) / count / pp });
      if (layout.homeOf(worker) !== worker) {
        const host = meanHostBytes(topology, layout, group);
        parts.push({ gradients: host.gradients / pp, weights: host.weights / pp });
      }
      parts.push({ buddies: meanBuddyBytes(topology, layout, group) / pp });
    }
  }
  return addTraffic(parts);
}

/** The share of the other members of a group at a level whose shards live in another process: shards on one host need no message. */
function shareApart(layout: Layout, group: ParameterGroup, worker: WorkerRank, level: number): number {
  const others = new GroupExchange(group, worker).others(level);
  if (layout.options.offload === 'none' || others.length === 0) return 1;
  const home = layout.homeOf(worker);
  return others.filter((other) => layout.homeOf(other.worker) !== home).length / others.length;
}

/** What a device and the host with its shard send each other: leaves of its own part, and all weights, or of gathered ones its own. */
function hostBytes(
  topology: ResolvedTopology,
  layout: Layout,
  group: ParameterGroup,
  worker: WorkerRank,
): Readonly<Record<'gradients' | 'weights', number>> {
  const { exchange, slice } = new GroupExchange(group, worker);
  const own = exchange.part(1);
  const whole = { from: 0, to: group.flat.length };
  const weights = layout.isGathered(group)
    ? gatheredBytes(topology, group, slice)
    : heldBytes(topology, group, whole);
  return { gradients: LEAF_BYTES * leavings(topology, layout, group) * (own.to - own.from), weights };
}

/** The mean over the holders of a group. */
function meanHostBytes(topology: ResolvedTopology, layout: Layout, group: ParameterGroup) {
  const { holders } = group;
  const sums = { gradients: 0, weights: 0 };
  for (const worker of holders) {
    const { gradients, weights } = hostBytes(topology, layout, group, worker);
    sums.gradients += gradients / holders.count;
    sums.weights += weights / holders.count;
  }
  return sums;
}

/** The mean over all workers of what each sends to others. */
function meanTraffic(topology: ResolvedTopology): TrafficBytes {
  const placement = createPlacement(topology);
  const count = placement.workers.length;
  const scaled = ({ part }: Flow): Flow['part'] =>
    Object.fromEntries(Object.entries(part).map(([kind, bytes]) => [kind, bytes / count]));
  return addTraffic(
    flowsOf(topology, placement)
      .filter(({ from, to }) => from !== to)
      .map(scaled),
  );
}

/** The mean over the holders of a group. */
function meanBuddyBytes(topology: ResolvedTopology, layout: Layout, group: ParameterGroup): number {
  const { holders } = group;
  let sum = 0;
  for (const worker of holders) sum += buddyBytes(topology, layout, group, worker);
  return sum / holders.count;
}

/** Bytes that go from one node to another. */
interface Flow {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly part: Partial<Record<Kind, number>>;
}

function* rowFlows(topology: ResolvedTopology, { layout, nodeOf }: Placement): Generator<Flow> {
  for (const worker of layout.stageWorkers()) {
    const dealt = dealtShare(topology, layout, worker);
    for (const layer of layout.moeLayersOf(layout.at(worker).pp)) {
      const { there, back } = rowsPerPair(topology, layer, dealt);
      const node = nodeOf(layout.gateOf(layer, worker));
      for (const expert of layout.expertsFor(layer, worker)) {
        yield { from: node, to: nodeOf(expert), part: { dispatch: there, backward: there } };
        yield { from: nodeOf(expert), to: node, part: { combine: back, backward: back } };
      }
      const replicas = layout.mesh.peers('dp', worker);
      for (const { peer, bytes } of choiceBytes(topology, layout, layout.at(worker).dp))
        yield { from: node, to: nodeOf(layout.gateOf(layer, replicas.at(peer))), part: { dispatch: bytes } };
    }
  }
}

/** What the stages of a replica hand on in one direction in a step: both streams of an encoder and a decoder at every hop, the memory among them. */
const hopBytes = ({ train, model, parallel }: ResolvedTopology): number =>
  (train.batch / parallel.dp) * positionsOf(model) * 4 * model.dModel;

function* pipelineFlows(topology: ResolvedTopology, { layout, nodeOf }: Placement): Generator<Flow> {
  const pipeline = hopBytes(topology);
  for (const worker of layout.stageWorkers()) {
    const here = nodeOf(layout.stageOf(worker));
    for (let chunk = 0; chunk < layout.pipeline.chunks; chunk++) {
      const next = layout.nextOf(worker, chunk);
      if (next === null) continue;
      yield { from: here, to: nodeOf(next.stage), part: { pipeline } };
      yield { from: nodeOf(next.stage), to: here, part: { pipeline } };
    }
  }
}

/** What shards send each other. */
function* shardFlows(topology: ResolvedTopology, { layout, nodeOf }: Placement): Generator<Flow> {
  for (const worker of layout.workers()) {
    for (const group of layout.groupsOf(worker)) {
      const from = nodeOf(layout.shardOf(group, worker));
      if (layout.buddyOf(group, worker) !== null)
        yield {
          from,
          to: nodeOf(layout.wardOf(group, worker)),
          part: { buddies: buddyBytes(topology, layout, group, worker) },
        };
      yield* exchangeFlows(topology, { layout, nodeOf }, group, worker);
      const device = layout.nodeOf(worker);
      if (device === from) continue;
      const { gradients, weights } = hostBytes(topology, layout, group, worker);
      yield { from: device, to: from, part: { gradients } };
      yield { from, to: device, part: { weights } };
    }
  }
}

/** What a shard sends to the others of its groups: leaves of their parts, and what it made of its own. */
function* exchangeFlows(
  topology: ResolvedTopology,
  { layout, nodeOf }: Pick<Placement, 'layout' | 'nodeOf'>,
  group: ParameterGroup,
  worker: WorkerRank,
): Generator<Flow> {
  const each = updateBytes(topology);
  const among = new GroupExchange(group, worker);
  const isGathered = layout.isGathered(group);
  const times = leavings(topology, layout, group);
  const sums = each.gradients - LEAF_BYTES;
  const from = nodeOf(layout.shardOf(group, worker));
  const to = (other: WorkerRank): NodeId => nodeOf(layout.shardOf(group, other));
  for (const level of group.exchange.keys()) {
    const own = among.exchange.part(level + 1);
    const weights = isGathered ? 0 : each.weights * heldBytes(topology, group, own);
    for (const { worker: other, part } of among.others(level)) {
      const leaves = times * LEAF_BYTES * (part.to - part.from);
      yield { from: level === 0 ? layout.nodeOf(worker) : from, to: to(other), part: { gradients: leaves } };
      yield { from, to: to(other), part: { gradients: sums * (own.to - own.from), weights } };
    }
  }
  if (!isGathered) return;
  const weights = gatheredBytes(topology, group, among.slice);
  // What is gathered goes to those that read it.
  for (const other of group.holders)
    if (other !== worker) yield { from, to: layout.nodeOf(other), part: { weights } };
}

const flowsOf = (topology: ResolvedTopology, placement: Placement): readonly Flow[] =>
  [rowFlows, pipelineFlows, tensorFlows, shardFlows].flatMap((each) => [...each(topology, placement)]);

/** Every pair of workers that talk in a step and how much, by where actors live; null beyond 256 workers. */
export function planLinks(topology: ResolvedTopology, placement: Placement): readonly Link[] | null {
  const { layout, workers, hosts } = placement;
  if (layout.numWorkers > MAX_WORKERS_FOR_LINKS) return null;
  const nodes = new Map<string, WorkerNode | HostNode>([...workers, ...hosts].map((node) => [node.id, node]));
  const sums = new Map<string, { from: PlacedNode; to: PlacedNode; parts: Flow['part'][] }>();
  for (const flow of flowsOf(topology, placement)) {
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
