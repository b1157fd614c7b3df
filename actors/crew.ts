import { assert, type Address } from '@troupe/core';
import { addresses, type Layout, type WorkerRank } from '@troupe/topology/layout';

/** An actor that answers, and the worker or host that it lives on. */
export interface Member {
  readonly address: Address;
  readonly worker: WorkerRank;
}

/** Who lives on a machine, as far as its agent speaks to them and they answer it. */
export interface Crew {
  readonly machine: number;
  /** Workers and hosts. */
  readonly nodes: readonly WorkerRank[];
  readonly feeders: readonly Address[];
  readonly stages: readonly Member[];
  readonly shards: readonly Member[];
  /** What keeps copies of shards. */
  readonly wards: readonly Member[];
  /** What answers for devices without shards when an attempt is abandoned: where no shard lives beside a stage, nobody else does. */
  readonly couriers: readonly Member[];
}

/** Workers and the host of a machine. */
function* nodesOn(layout: Layout, machine: number): Generator<WorkerRank> {
  const { machines, numWorkers } = layout;
  if (machines.count === 1) yield* layout.workers();
  else for (const rank of machines.workersOf(machine)) if (rank < numWorkers) yield rank;
  for (const host of layout.hosts()) if (layout.machineOf(host) === machine) yield host;
}

/** Who speaks for the machine of a worker or host. */
export const agentFor = (layout: Layout, node: WorkerRank): Address =>
  addresses.agent(layout.machineOf(node));

/** AGT-1: whom an agent waits for is a function of layout and machine, the same to it and to the trainer, in the same order. */
export function crewOf(layout: Layout, machine: number): Crew {
  const nodes = [...nodesOn(layout, machine)];
  const workers = nodes.filter((node) => !layout.isHost(node));
  const stages = workers.filter((worker) => layout.hasStage(worker));
  return {
    machine,
    nodes,
    feeders: stages.filter((worker) => layout.hasFeeder(worker)).map((worker) => layout.feederOf(worker)),
    stages: stages.map((worker) => ({ address: layout.stageOf(worker), worker })),
    shards: nodes.flatMap((node) =>
      layout
        .shardsAt(node)
        .map(({ group, worker }) => ({ address: layout.shardOf(group, worker), worker: node })),
    ),
    wards: nodes.flatMap((node) =>
      layout
        .wardsOf(node)
        .map(({ group, worker }) => ({ address: layout.wardOf(group, worker), worker: node })),
    ),
    couriers: workers
      .filter((worker) => layout.homeOf(worker) !== worker)
      .flatMap((worker) =>
        layout.groupsOf(worker).flatMap((group) => {
          const address = layout.courierOf(group, worker);
          return address === null ? [] : [{ address, worker }];
        }),
      ),
  };
}

/** Machines that have a part of a checkpoint. */
export const partMachines = ({ layout }: { readonly layout: Layout }): readonly number[] =>
  Array.from({ length: layout.machines.count }, (_, machine) => machine).filter(
    (machine) => crewOf(layout, machine).shards.length > 0,
  );

/** Shards and the copies of shards: all that carries out a decision. */
export const holdersOf = ({ shards, wards }: Crew): readonly Member[] => [...shards, ...wards];

/** All that says that it has left an attempt. */
export const leaversOf = ({ shards, wards, couriers }: Crew): readonly Member[] => [
  ...shards,
  ...wards,
  ...couriers,
];

/** Agents by what the machines of a run have. */
export interface Agents {
  /** Of every machine that has a worker. */
  readonly all: readonly Address[];
  readonly feeding: readonly Address[];
  /** Those with stages. */
  readonly computing: readonly Address[];
  /** Those with shards. */
  readonly voting: readonly Address[];
  /** Those with shards or copies of some. */
  readonly holding: readonly Address[];
}

export function agentsOf(layout: Layout): Agents {
  const agents: Record<keyof Agents, Address[]> = {
    all: [],
    feeding: [],
    computing: [],
    voting: [],
    holding: [],
  };
  for (let machine = 0; machine < layout.machines.count; machine++) {
    const crew = crewOf(layout, machine);
    const agent = addresses.agent(machine);
    if (crew.nodes.length > 0) agents.all.push(agent);
    if (crew.feeders.length > 0) agents.feeding.push(agent);
    if (crew.stages.length > 0) agents.computing.push(agent);
    if (crew.shards.length > 0) agents.voting.push(agent);
    if (crew.shards.length + crew.wards.length > 0) agents.holding.push(agent);
  }
  return agents;
}

/** The versions that shards and copies on a machine hold completely; -1: none. */
export function heldBy(
  layout: Layout,
  machine: number,
  versions_N: Int32Array,
): readonly (readonly [Address, number])[] {
  const holders = holdersOf(crewOf(layout, machine));
  assert(holders.length === versions_N.length, 'an agent speaks of its own crew (AGT-1)', { machine });
  return holders.flatMap(({ address }, at) => {
    const version = versions_N[at] ?? -1;
    return version < 0 ? [] : [[address, version] as const];
  });
}
