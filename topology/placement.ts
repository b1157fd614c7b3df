import { assert, type Address, type NodeId } from '@troupe/core';
import { moeLayers } from '@troupe/spec';
import { AddressUnknownError } from './errors.ts';
import { addresses, agentNodeOf, workerNode } from './layout/address.ts';
import { Layout } from './layout/layout.ts';
import type { Coordinates } from './layout/mesh.ts';
import type { GroupName } from './layout/parameter-group.ts';
import { workerRank, type WorkerRank } from './layout/rank.ts';
import { deviceNames, type DeviceBody, type ResolvedDevice } from './machines.ts';
import { nearestName } from './nearest.ts';
import { PlacementRules } from './placement-rules.ts';
import type { ResolvedTopology } from './resolved.ts';

export type ActorRole =
  | 'trainer'
  | 'supervisor'
  | 'store'
  | 'feeder'
  | 'stage'
  | 'pass'
  | 'gate'
  | 'expert'
  | 'optimizer'
  | 'courier'
  | 'ward';

export interface PlacedActor {
  readonly address: Address;
  readonly role: ActorRole;
  readonly node: NodeId;
}

export interface AgentNode {
  readonly kind: 'agent';
  readonly id: NodeId;
  readonly host: string;
  /** Position in `machines`. */
  readonly machineIndex: number;
}

export interface WorkerNode {
  readonly kind: 'worker';
  readonly id: NodeId;
  readonly host: string;
  readonly machineIndex: number;
  /** Worker i is rank i of the mesh. */
  readonly rank: WorkerRank;
  readonly coordinates: Coordinates;
  readonly device: ResolvedDevice;
  readonly body: DeviceBody;
}

/** The process of a machine that has the shards of its devices (`parallel.offload`). */
export interface HostNode {
  readonly kind: 'host';
  readonly id: NodeId;
  readonly host: string;
  readonly machineIndex: number;
  /** Behind those of all workers. */
  readonly rank: WorkerRank;
  /** Threads of its updates: as many as the devices have together. */
  readonly threads: number;
  readonly body: DeviceBody;
}

export type PlacedNode = AgentNode | WorkerNode | HostNode;

/** Actors that no longer live where the topology says: the supervisor's overlay. */
export type Moves = ReadonlyMap<Address, NodeId>;

/** Where every actor lives: a pure function of the topology and the moves since. */
export interface Placement {
  readonly layout: Layout;
  /** Agents by machine, then workers by rank, then hosts by machine. */
  readonly nodes: readonly PlacedNode[];
  readonly agents: readonly AgentNode[];
  readonly workers: readonly WorkerNode[];
  /** By machine; none without `parallel.offload`. */
  readonly hosts: readonly HostNode[];
  readonly actors: readonly PlacedActor[];
  readonly moves: Moves;
  /** @throws {AddressUnknownError} TROUPE_ADDRESS_UNKNOWN */
  readonly nodeOf: (address: string) => NodeId;
  readonly actorsOf: (node: NodeId) => readonly PlacedActor[];
  readonly withMoves: (moves: Moves) => Placement;
}

function listNodes(
  { machines }: ResolvedTopology,
  layout: Layout,
): { agents: readonly AgentNode[]; workers: readonly WorkerNode[]; hosts: readonly HostNode[] } {
  const agents = machines.map((machine, machineIndex): AgentNode => ({
    kind: 'agent',
    id: agentNodeOf(machineIndex),
    host: machine.host,
    machineIndex,
  }));
  const workers = machines
    .flatMap((machine, machineIndex) => machine.devices.map((device) => ({ machine, machineIndex, device })))
    .map(({ machine, machineIndex, device }, index): WorkerNode => {
      const rank = workerRank(index);
      return {
        kind: 'worker',
        id: workerNode(rank),
        host: machine.host,
        machineIndex,
        rank,
        coordinates: layout.at(rank),
        device,
        body: machine.body,
      };
    });
  const hosts = Array.from(layout.hosts(), (rank): readonly HostNode[] => {
    const machineIndex = layout.machineOf(rank);
    const machine = machines[machineIndex];
    if (machine === undefined) return [];
    const threads = machine.devices.reduce((sum, device) => sum + device.threads, 0);
    return [
      {
        kind: 'host',
        id: layout.nodeOf(rank),
        host: machine.host,
        machineIndex,
        rank,
        threads,
        body: machine.body,
      },
    ];
  }).flat();
  return { agents, workers, hosts };
}

/** Kinds of parameter groups, in the order in which their shards are listed. */
const groupNames: readonly GroupName[] = ['embed', 'dense', 'replicated', 'heads', 'expert'];

/** Actors in the order of data flow, each on the device of its mesh coordinate. */
function defaultActors({ machines, model }: ResolvedTopology, layout: Layout): PlacedActor[] {
  const { mesh } = layout;
  const workers = [...layout.workers()];
  const layers = moeLayers(model).map((layer) => ({ layer, pp: layout.stageOfBlock(layer) }));
  const actors: PlacedActor[] = [
    { address: addresses.trainer, role: 'trainer', node: agentNodeOf(0) },
    { address: addresses.supervisor, role: 'supervisor', node: agentNodeOf(0) },
  ];
  const add = (role: ActorRole, name: Address, rank: number): void => {
    actors.push({ address: name, role, node: layout.nodeOf(workerRank(rank)) });
  };
  for (const machine of machines.keys())
    actors.push({ address: addresses.store(machine), role: 'store', node: agentNodeOf(machine) });
  for (let dp = 0; dp < mesh.dp; dp++)
    add('feeder', addresses.feeder({ dp }), mesh.rankOf({ pp: 0, dp, tp: 0 }));
  for (const worker of workers) add('stage', layout.stageOf(worker), worker);
  for (const worker of workers)
    for (const { index } of layout.slotsOf(layout.at(worker).pp).all)
      add('pass', layout.passOf(worker, index), worker);
  for (const { layer, pp } of layers) {
    for (let dp = 0; dp < mesh.dp; dp++) {
      for (let tp = 0; tp < mesh.tp; tp++) {
        const worker = mesh.rankOf({ pp, dp, tp });
        for (const gate of layout.gatesOf(layer, worker)) add('gate', gate, worker);
      }
    }
  }
  for (const { layer, pp } of layers) {
    for (let edp = 0; edp < mesh.edp; edp++) {
      for (let ep = 0; ep < mesh.ep; ep++) {
        const dp = mesh.dpOf(ep, edp);
        for (let tp = 0; tp < mesh.tp; tp++)
          add('expert', addresses.expert(layer, { ep, edp, tp }, mesh), mesh.rankOf({ pp, dp, tp }));
      }
    }
  }
  const groups = workers.map((worker) => layout.groupsOf(worker));
  for (const name of groupNames) {
    for (const worker of workers) {
      const group = groups[worker]?.find((each) => each.name === name);
      if (group === undefined) continue;
      add('optimizer', layout.shardOf(group, worker), layout.homeOf(worker));
      const courier = layout.courierOf(group, worker);
      if (courier !== null) add('courier', courier, worker);
    }
  }
  for (const node of layout.nodes())
    for (const ward of layout.wardsOf(node)) add('ward', layout.wardOf(ward.group, ward.worker), node);
  return actors;
}

/** Applies `placement:` rules; the last that matches wins, passes and gates follow the stage whose activations they read. */
function applyRules(actors: readonly PlacedActor[], topology: ResolvedTopology): readonly PlacedActor[] {
  const rules = Object.entries(topology.placement);
  if (rules.length === 0) return actors;
  const ranks = new Map<string, number>();
  for (const [rank, name] of deviceNames(topology.machines).entries())
    if (!ranks.has(name)) ranks.set(name, rank);
  const matching = new PlacementRules(rules.map(([pattern]) => pattern));
  const placed = actors.map((actor) => {
    if (actor.role === 'gate' || actor.role === 'pass') return actor;
    const target = rules[matching.last(actor.address)]?.[1];
    return target === undefined ? actor : { ...actor, node: workerNode(ranks.get(target) ?? -1) };
  });
  return besideStages(placed);
}

function besideStages(actors: readonly PlacedActor[]): readonly PlacedActor[] {
  const stages = new Map(
    actors.filter((actor) => actor.role === 'stage').map((actor) => [actor.address as string, actor.node]),
  );
  return actors.map((actor) => {
    const [, first, second, third, fourth] = actor.address.split('/');
    const peer = fourth?.startsWith('tp') === true ? fourth : 'tp0';
    const node =
      actor.role === 'gate'
        ? stages.get(`stage/${second}/${third}/${peer}`)
        : actor.role === 'pass'
          ? stages.get(`stage/${first}/${second}/${third}`)
          : undefined;
    return node === undefined ? actor : { ...actor, node };
  });
}

/**
 * Where every actor of a topology lives.
 *
 * - PLA-1: a worker's stage, gates, feeder, its share of the experts and the optimizer shards beside them start on one device.
 * - PLA-2: passes and gates live where their stage lives, whatever moves.
 */
export function createPlacement(topology: ResolvedTopology, moves: Moves = new Map()): Placement {
  const layout = new Layout(topology);
  const { agents, workers, hosts } = listNodes(topology, layout);
  const { world } = layout.mesh;
  assert(workers.length === world, 'one device per rank', { devices: workers.length, world });
  const start = applyRules(defaultActors(topology, layout), topology);
  const moved = start.map((actor) => ({ ...actor, node: moves.get(actor.address) ?? actor.node }));
  const actors = moves.size === 0 ? start : besideStages(moved);
  const nodes = new Map(actors.map((actor) => [actor.address as string, actor.node]));
  for (const name of moves.keys()) if (!nodes.has(name)) throw unknown(name, actors);
  return {
    layout,
    nodes: [...agents, ...workers, ...hosts],
    agents,
    workers,
    hosts,
    actors,
    moves,
    nodeOf: (name) => {
      const node = nodes.get(name);
      if (node === undefined) throw unknown(name, actors);
      return node;
    },
    actorsOf: (node) => actors.filter((actor) => actor.node === node),
    withMoves: (next) => createPlacement(topology, next),
  };
}

const unknown = (name: string, actors: readonly PlacedActor[]): AddressUnknownError =>
  new AddressUnknownError(
    name,
    nearestName(
      name,
      actors.map((actor) => actor.address),
    ),
  );
