import { address, assert, nodeId, type Address, type NodeId } from '@troupe/core';
import { moeLayers } from '@troupe/spec';
import { AddressUnknownError } from './errors.ts';
import { deviceNames, type DeviceBody, type ResolvedDevice } from './machines.ts';
import { createMesh, pipelineStageOf, type Coordinates, type Mesh } from './mesh.ts';
import { nearestName } from './nearest.ts';
import { PlacementRules } from './placement-rules.ts';
import type { ResolvedTopology } from './resolved.ts';

export type ActorRole =
  'trainer' | 'supervisor' | 'store' | 'feeder' | 'stage' | 'gate' | 'expert' | 'optimizer';

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
  readonly rank: number;
  readonly coordinates: Coordinates;
  readonly device: ResolvedDevice;
  readonly body: DeviceBody;
}

export type PlacedNode = AgentNode | WorkerNode;

/** Actors that no longer live where the topology says: the supervisor's overlay. */
export type Moves = ReadonlyMap<Address, NodeId>;

/** Where every actor lives: a pure function of the topology and the moves since. */
export interface Placement {
  readonly mesh: Mesh;
  /** Agents by machine, then workers by rank. */
  readonly nodes: readonly PlacedNode[];
  readonly agents: readonly AgentNode[];
  readonly workers: readonly WorkerNode[];
  readonly actors: readonly PlacedActor[];
  readonly moves: Moves;
  /** @throws {AddressUnknownError} TROUPE_ADDRESS_UNKNOWN */
  readonly nodeOf: (address: string) => NodeId;
  readonly actorsOf: (node: NodeId) => readonly PlacedActor[];
  readonly withMoves: (moves: Moves) => Placement;
}

/** Names of actors. The name says what an actor is, never where it lives. */
export const addresses = {
  trainer: address('trainer'),
  supervisor: address('supervisor'),
  store: (machine: number): Address => address(`store/m${machine}`),
  feeder: (dp: number): Address => address(`feeder/dp${dp}`),
  stage: (at: { readonly pp: number; readonly dp: number; readonly tp: number }): Address =>
    address(`stage/pp${at.pp}/dp${at.dp}/tp${at.tp}`),
  gate: (layer: number, at: { readonly pp: number; readonly dp: number }): Address =>
    address(`gate/L${layer}/pp${at.pp}/dp${at.dp}`),
  expert: (layer: number, at: { readonly ep: number; readonly edp: number }): Address =>
    address(`expert/L${layer}/ep${at.ep}/edp${at.edp}`),
  /** One per device and parameter class; the device is named by dp alone while pp and tp are 1. */
  optimizer: (
    parameters: 'dense' | 'expert',
    at: { readonly pp: number; readonly dp: number; readonly tp: number },
    shape: { readonly pp: number; readonly tp: number } = { pp: 1, tp: 1 },
  ): Address =>
    address(
      shape.pp * shape.tp === 1
        ? `optimizer/${parameters}/dp${at.dp}`
        : `optimizer/${parameters}/pp${at.pp}/dp${at.dp}/tp${at.tp}`,
    ),
} as const;

const agentId = (machine: number): NodeId => nodeId(`agent/${machine}`);
const workerId = (rank: number): NodeId => nodeId(`worker/${rank}`);

function listNodes(
  { machines }: ResolvedTopology,
  mesh: Mesh,
): { agents: readonly AgentNode[]; workers: readonly WorkerNode[] } {
  const agents = machines.map((machine, machineIndex): AgentNode => ({
    kind: 'agent',
    id: agentId(machineIndex),
    host: machine.host,
    machineIndex,
  }));
  const workers = machines
    .flatMap((machine, machineIndex) => machine.devices.map((device) => ({ machine, machineIndex, device })))
    .map(({ machine, machineIndex, device }, rank): WorkerNode => ({
      kind: 'worker',
      id: workerId(rank),
      host: machine.host,
      machineIndex,
      rank,
      coordinates: mesh.coordinates(rank),
      device,
      body: machine.body,
    }));
  return { agents, workers };
}

/** Actors in the order of data flow, each on the device of its mesh coordinate. */
function defaultActors(topology: ResolvedTopology, mesh: Mesh): PlacedActor[] {
  const { model, machines } = topology;
  const layers = moeLayers(model).map((layer) => ({
    layer,
    pp: pipelineStageOf(layer, model.layers, mesh.pp),
  }));
  const actors: PlacedActor[] = [
    { address: addresses.trainer, role: 'trainer', node: agentId(0) },
    { address: addresses.supervisor, role: 'supervisor', node: agentId(0) },
  ];
  const add = (role: ActorRole, name: Address, rank: number): void => {
    actors.push({ address: name, role, node: workerId(rank) });
  };
  for (const machine of machines.keys())
    actors.push({ address: addresses.store(machine), role: 'store', node: agentId(machine) });
  for (let dp = 0; dp < mesh.dp; dp++) add('feeder', addresses.feeder(dp), mesh.rankOf({ pp: 0, dp, tp: 0 }));
  const coordinates = Array.from({ length: mesh.world }, (_, rank) => mesh.coordinates(rank));
  for (const [rank, at] of coordinates.entries()) add('stage', addresses.stage(at), rank);
  for (const { layer, pp } of layers) {
    for (let dp = 0; dp < mesh.dp; dp++)
      add('gate', addresses.gate(layer, { pp, dp }), mesh.rankOf({ pp, dp, tp: 0 }));
  }
  for (const { layer, pp } of layers) {
    for (let edp = 0; edp < mesh.edp; edp++) {
      for (let ep = 0; ep < mesh.ep; ep++) {
        add(
          'expert',
          addresses.expert(layer, { ep, edp }),
          mesh.rankOf({ pp, dp: mesh.dpOf(ep, edp), tp: 0 }),
        );
      }
    }
  }
  for (const [rank, at] of coordinates.entries())
    add('optimizer', addresses.optimizer('dense', at, mesh), rank);
  if (layers.length === 0) return actors;
  for (const [rank, at] of coordinates.entries())
    add('optimizer', addresses.optimizer('expert', at, mesh), rank);
  return actors;
}

/** Applies `placement:` rules; the last that matches wins, and gates follow the stage whose activations they read. */
function applyRules(actors: readonly PlacedActor[], topology: ResolvedTopology): readonly PlacedActor[] {
  const rules = Object.entries(topology.placement);
  if (rules.length === 0) return actors;
  const ranks = new Map<string, number>();
  for (const [rank, name] of deviceNames(topology.machines).entries())
    if (!ranks.has(name)) ranks.set(name, rank);
  const matching = new PlacementRules(rules.map(([pattern]) => pattern));
  const placed = actors.map((actor) => {
    if (actor.role === 'gate') return actor;
    const target = rules[matching.last(actor.address)]?.[1];
    return target === undefined ? actor : { ...actor, node: workerId(ranks.get(target) ?? -1) };
  });
  return gatesBesideStages(placed);
}

function gatesBesideStages(actors: readonly PlacedActor[]): readonly PlacedActor[] {
  const stages = new Map(
    actors.filter((actor) => actor.role === 'stage').map((actor) => [actor.address as string, actor.node]),
  );
  return actors.map((actor) => {
    const [, , pp, dp] = actor.role === 'gate' ? actor.address.split('/') : [];
    const node = stages.get(`stage/${pp}/${dp}/tp0`);
    return node === undefined ? actor : { ...actor, node };
  });
}

/**
 * Where every actor of a topology lives.
 *
 * - PLA-1: a replica's stage, gates, feeder, its share of the experts and the optimizer shards beside them start on one device.
 * - PLA-2: a gate lives where its stage lives, whatever moves.
 */
export function createPlacement(topology: ResolvedTopology, moves: Moves = new Map()): Placement {
  const mesh = createMesh(topology.parallel);
  const { agents, workers } = listNodes(topology, mesh);
  assert(workers.length === mesh.world, 'one device per rank', {
    devices: workers.length,
    world: mesh.world,
  });
  const start = applyRules(defaultActors(topology, mesh), topology);
  const moved = start.map((actor) => ({ ...actor, node: moves.get(actor.address) ?? actor.node }));
  const actors = moves.size === 0 ? start : gatesBesideStages(moved);
  const nodes = new Map(actors.map((actor) => [actor.address as string, actor.node]));
  for (const name of moves.keys()) if (!nodes.has(name)) throw unknown(name, actors);
  return {
    mesh,
    nodes: [...agents, ...workers],
    agents,
    workers,
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

/** The experts of a layer that the gates of data-parallel rank `dp` send to, in expert order. */
export function expertsOfGate(mesh: Mesh, layer: number, dp: number): readonly Address[] {
  const { edp } = mesh.coordinates(dp * mesh.tp);
  return Array.from({ length: mesh.ep }, (_, ep) => addresses.expert(layer, { ep, edp }));
}

/** The gates of a layer that send to replica `edp` of its experts, in source order; `pp`: the stage that holds the layer. */
export function gatesOfExpert(mesh: Mesh, layer: number, edp: number, pp = 0): readonly Address[] {
  const dps = Array.from({ length: mesh.ep }, (_, ep) => mesh.dpOf(ep, edp)).sort((a, b) => a - b);
  return dps.map((dp) => addresses.gate(layer, { pp, dp }));
}
