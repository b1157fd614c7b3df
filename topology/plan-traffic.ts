import { gradientBytes, isMoeLayer, lonelyElements, visitShare, type ExchangeLevel } from '@troupe/spec';
import { buddyShift } from './buddies.ts';
import { exchangeOf } from './exchange.ts';
import { isLocalHost } from './machines.ts';
import { addresses, expertsOfGate, type Placement, type WorkerNode } from './placement.ts';
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

/** Elements of one rank's parameters of a stage, by class. */
function heldElements(topology: ResolvedTopology, pp: number): Readonly<Record<'dense' | 'expert', number>> {
  const { ep, tp } = topology.parallel;
  const { dense, expert } = stageParameters(topology)[pp] ?? { dense: 0, expert: 0 };
  return { dense: dense / tp, expert: expert / ep / tp };
}

/** Bytes that a rank sends to its buddy. */
function buddyBytes(topology: ResolvedTopology, pp: number): number {
  const { parallel, train } = topology;
  const stage = stageParameters(topology)[pp];
  if (buddyShift(topology) === 0 || stage === undefined) return 0;
  const { dense, expert } = lonelyElements({ ...parallel, dense: stage.dense, expert: stage.expert });
  return (
    gradientBytes(parallel.dp, train.microbatches) * dense +
    gradientBytes(parallel.edp, train.microbatches) * expert
  );
}

/**
 * Bytes a worker sends in one step under the default placement, by formula: the mean over a pipeline's stages.
 * Traffic inside a tensor-parallel group is not modelled.
 */
export function trafficPerDevice(topology: ResolvedTopology): TrafficBytes {
  const { model, parallel, train } = topology;
  const { dp, ep, pp } = parallel;
  const exchange = exchangeOf(topology);
  const numMoe = Array.from({ length: model.layers }, (_, layer) => layer).filter((layer) =>
    isMoeLayer(model, layer),
  ).length;
  const { there, back } = rowsPerPair(topology);
  const others = (numMoe * (ep - 1)) / (pp * parallel.tp);
  const tokens = (train.batch / dp) * model.seqLen;
  const parts: Partial<Record<Kind, number>>[] = [
    { dispatch: others * there, combine: others * back, backward: others * (there + back) },
    { pipeline: (2 * (pp - 1) * tokens * rowBytes(topology)) / pp },
  ];
  for (let stage = 0; stage < pp; stage++) {
    const held = heldElements(topology, stage);
    for (const each of ['dense', 'expert'] as const) {
      const levels = exchange[each];
      updateBytes(topology, levels, held[each]).forEach(({ gradients, weights }, level) => {
        const others = (levels[level]?.size ?? 1) - 1;
        parts.push({ gradients: (others * gradients) / pp, weights: (others * weights) / pp });
      });
    }
    parts.push({ buddies: buddyBytes(topology, stage) / pp });
  }
  return addTraffic(parts);
}

/** Every pair of workers that talk in a step and how much, by where actors live; null beyond 256 workers. */
export function planLinks(topology: ResolvedTopology, placement: Placement): readonly Link[] | null {
  const { mesh, workers } = placement;
  if (mesh.world > MAX_WORKERS_FOR_LINKS) return null;
  const nodes = new Map<string, WorkerNode>(workers.map((worker) => [worker.id, worker]));
  const sums = new Map<
    string,
    { from: WorkerNode; to: WorkerNode; parts: Partial<Record<Kind, number>>[] }
  >();
  const add = (from: string, to: string, part: Partial<Record<Kind, number>>): void => {
    const [source, target] = [nodes.get(from), nodes.get(to)];
    if (from === to || source === undefined || target === undefined) return;
    const key = `${from} ${to}`;
    const link = sums.get(key) ?? { from: source, to: target, parts: [] };
    link.parts.push(part);
    sums.set(key, link);
  };

  const { there, back } = rowsPerPair(topology);
  for (const actor of placement.actors) {
    if (actor.role !== 'gate') continue;
    const [, layer, , dp] = actor.address.split('/');
    for (const expert of expertsOfGate(mesh, Number(layer?.slice(1)), Number(dp?.slice(2)))) {
      add(actor.node, placement.nodeOf(expert), { dispatch: there, backward: there });
      add(placement.nodeOf(expert), actor.node, { combine: back, backward: back });
    }
  }
  const boundary = (topology.train.batch / mesh.dp) * topology.model.seqLen * rowBytes(topology);
  for (const { coordinates: at } of workers) {
    if (at.pp + 1 === mesh.pp) continue;
    const [here, next] = [
      placement.nodeOf(addresses.stage(at)),
      placement.nodeOf(addresses.stage({ ...at, pp: at.pp + 1 })),
    ];
    add(here, next, { pipeline: boundary });
    add(next, here, { pipeline: boundary });
  }
  const shift = buddyShift(topology);
  for (const { coordinates: at } of shift === 0 ? [] : workers) {
    const ownerOf = (place: typeof at): string => placement.nodeOf(addresses.optimizer('dense', place, mesh));
    const bytes = { buddies: buddyBytes(topology, at.pp) };
    add(ownerOf(at), ownerOf({ ...at, dp: (at.dp + shift) % mesh.dp }), bytes);
  }
  const hasExperts = topology.model.moe !== null;
  const exchange = exchangeOf(topology);
  for (const [parameters, groups] of [
    ['dense', mesh.groups.dp],
    ['expert', hasExperts ? mesh.groups.edp : []],
  ] as const) {
    const owner = (rank: number): string =>
      placement.nodeOf(addresses.optimizer(parameters, mesh.coordinates(rank), mesh));
    const levels = exchange[parameters];
    for (const group of groups) {
      const { pp } = mesh.coordinates(group[0] ?? 0);
      const bytes = updateBytes(topology, levels, heldElements(topology, pp)[parameters]);
      group.forEach((a, position) => {
        levels.forEach(({ size, stride }, level) => {
          const own = Math.floor(position / stride) % size;
          for (let digit = 0; digit < size; digit++) {
            const b = group[position + (digit - own) * stride];
            if (digit !== own && b !== undefined) add(owner(a), owner(b), bytes[level] ?? {});
          }
        });
      });
    }
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
