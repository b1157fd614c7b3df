import { assert, type Address, type NodeId } from '@troupe/core';
import { moeLayers } from '@troupe/spec';
import { AddressUnknownError } from './errors.ts';
import { addresses, agentNodeOf, leadNode, workerNode } from './layout/address.ts';
import { Layout } from './layout/layout.ts';
import type { Coordinates } from './layout/mesh.ts';
import type { GroupName } from './layout/parameter-group.ts';
import { workerRank, type WorkerRank } from './layout/rank.ts';
import type { DeviceBody, ResolvedDevice } from './machines.ts';
import { nearestName } from './nearest.ts';
import type { ResolvedTopology } from './resolved.ts';

export type ActorRole =
  | 'trainer'
  | 'supervisor'
  | 'agent'
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

/** The process that trainer and supervisor live in, on the first machine. */
export interface LeadNode {
  readonly kind: 'lead';
  readonly id: NodeId;
  readonly host: string;
  readonly machineIndex: number;
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
  readonly rank: WorkerRank;
  /** Of a worker that holds a stage. */
  readonly coordinates: Coordinates | null;
  /** Position of its device among those of all machines in a row. */
  readonly deviceIndex: number;
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

export type PlacedNode = LeadNode | AgentNode | WorkerNode | HostNode;

/** Where every actor lives: a pure function of the topology. */
export interface Placement {
  readonly layout: Layout;
  /** The lead, agents by machine, then workers by rank, then hosts by machine. */
  readonly nodes: readonly PlacedNode[];
  readonly agents: readonly AgentNode[];
  readonly workers: readonly WorkerNode[];
  /** By machine; none without `parallel.offload`. */
  readonly hosts: readonly HostNode[];
  readonly actors: readonly PlacedActor[];
  /** @throws {AddressUnknownError} TROUPE_ADDRESS_UNKNOWN */
  readonly nodeOf: (address: string) => NodeId;
  readonly actorsOf: (node: NodeId) => readonly PlacedActor[];
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
  const devices = machines.flatMap((machine, machineIndex) =>
    machine.devices.map((device) => ({ machine, machineIndex, device })),
  );
  const workers = Array.from(layout.workers(), (rank): WorkerNode => {
    const deviceIndex = layout.deviceOf(rank);
    const found = devices[deviceIndex];
    assert(found, 'every worker has a device', { rank });
    const { machine, machineIndex, device } = found;
    return {
      kind: 'worker',
      id: workerNode(rank),
      host: machine.host,
      machineIndex,
      rank,
      coordinates: layout.hasStage(rank) ? layout.at(rank) : null,
      deviceIndex,
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

/** Actors in the order of data flow. */
function actorsOf({ machines, model }: ResolvedTopology, layout: Layout): PlacedActor[] {
  const { mesh } = layout;
  const workers = [...layout.workers()];
  const stages = [...layout.stageWorkers()];
  const layers = moeLayers(model).map((layer) => ({ layer, pp: layout.stageOfBlock(layer) }));
  const actors: PlacedActor[] = [
    { address: addresses.trainer, role: 'trainer', node: leadNode },
    { address: addresses.supervisor, role: 'supervisor', node: leadNode },
  ];
  const add = (role: ActorRole, name: Address, rank: number): void => {
    actors.push({ address: name, role, node: layout.nodeOf(workerRank(rank)) });
  };
  for (const machine of machines.keys())
    actors.push({ address: addresses.agent(machine), role: 'agent', node: agentNodeOf(machine) });
  for (const machine of machines.keys())
    actors.push({ address: addresses.store(machine), role: 'store', node: agentNodeOf(machine) });
  for (let dp = 0; dp < mesh.dp; dp++)
    add('feeder', addresses.feeder({ dp }), mesh.rankOf({ pp: 0, dp, tp: 0 }));
  for (const worker of stages) add('stage', layout.stageOf(worker), worker);
  for (const worker of stages)
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
    const { numCopies, numGroups, numPeers } = layout.experts;
    for (let edp = 0; edp < numCopies; edp++)
      for (let ep = 0; ep < numGroups; ep++)
        for (let tp = 0; tp < numPeers; tp++) {
          const worker = layout.experts.workerOf({ ep, edp, tp }, pp);
          add('expert', layout.expertOf(layer, worker), worker);
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

/**
 * Where every actor of a topology lives.
 *
 * - PLA-1: passes, gates and a feeder live on the worker of their stage; shards on the worker whose parameters they update.
 * - PLA-2: experts live beside stages, or all of them on workers without one; such a worker has those of one group and copy, of every layer.
 */
export function createPlacement(topology: ResolvedTopology): Placement {
  const layout = new Layout(topology);
  const { agents, workers, hosts } = listNodes(topology, layout);
  const lead: LeadNode = {
    kind: 'lead',
    id: leadNode,
    host: topology.machines[0]?.host ?? '',
    machineIndex: 0,
  };
  const actors = actorsOf(topology, layout);
  const nodes = new Map(actors.map((actor) => [actor.address as string, actor.node]));
  return {
    layout,
    nodes: [lead, ...agents, ...workers, ...hosts],
    agents,
    workers,
    hosts,
    actors,
    nodeOf: (name) => {
      const node = nodes.get(name);
      if (node === undefined) throw unknown(name, actors);
      return node;
    },
    actorsOf: (node) => actors.filter((actor) => actor.node === node),
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
