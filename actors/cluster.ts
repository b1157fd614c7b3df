import { assert, type Address } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import { escalate, type ActorSystem, type Mount } from '@troupe/runtime';
import { addresses, agentNodeOf, type WorkerRank } from '@troupe/topology/layout';
import { mountMachineAgent, type LeadRestarts } from './agent/index.ts';
import { crewOf } from './crew.ts';
import { mountCourier } from './courier/index.ts';
import { mountExpert } from './expert/index.ts';
import { mountFeeder, type TokenSource } from './feeder/index.ts';
import { mountGate } from './gate/index.ts';
import { GroupBuffers } from './group-buffers.ts';
import type { Job } from './job.ts';
import { mountOptimizer } from './optimizer/index.ts';
import { Shard } from './optimizer/shard.ts';
import { ShardMemory } from './optimizer/shard-memory.ts';
import { mountPass } from './pass/index.ts';
import { mountPart, type PartOptions } from './part/index.ts';
import { Passes } from './passes.ts';
import { mountStage } from './stage/index.ts';
import { hearingOrder } from './roster.ts';
import { StageParameters } from './stage-parameters.ts';
import { mountStore, type StoreOptions } from './store/index.ts';
import { mountSupervisor, type SupervisorOptions } from './supervisor/index.ts';
import { mountTrainer, type TrainerOptions } from './trainer/index.ts';
import { mountWard } from './ward/index.ts';
import { Worker } from './worker.ts';

/** A worker whose actors are mounted, the buffers of its parameter groups, and what its shards hold. */
export interface MountedWorker {
  readonly worker: Worker;
  readonly buffers: readonly GroupBuffers[];
  readonly shards: readonly ShardMemory[];
}

/** Names of the actors of a worker or host, in the order in which they are mounted. */
export const workerActors = ({ layout }: Job, worker: WorkerRank): readonly Address[] => [
  ...(layout.hasFeeder(worker) ? [layout.feederOf(worker)] : []),
  ...hearingOrder(layout, worker),
];

/**
 * Mounts the actors of a worker over a device and a token source.
 *
 * @param ports - `joins`: the worker takes the place of a lost one, whose state it gets from others when the trainer says so
 */
export function mountWorker(
  system: ActorSystem,
  job: Job,
  ports: {
    readonly worker: WorkerRank;
    readonly device: Device;
    /** Null: a host, which feeds nobody. */
    readonly tokens: TokenSource | null;
    readonly joins?: boolean;
  },
): MountedWorker {
  const { layout } = job;
  const worker = new Worker(job, ports.worker, ports.device, { joins: ports.joins ?? false });
  const buffers = worker.groups.map((group) => new GroupBuffers(worker, group));
  // Of shards beside them, in the order of their groups; a host has those of others.
  const shards = layout.shardsAt(worker.rank).map((place) => {
    const beside = buffers.find(({ group }) => group === place.group) ?? null;
    return new ShardMemory(new Shard(worker, place, beside));
  });
  const memoryOf = (own: GroupBuffers): ShardMemory | null =>
    shards.find(({ shard }) => shard.beside === own) ?? null;
  const experts = buffers.find(({ group }) => group.reader === 'experts');
  const mounts: Mount[] = [
    ...(layout.hasStage(worker.rank)
      ? stageMounts(
          worker,
          buffers.filter(({ group }) => group.reader === 'stage'),
          ports.tokens,
        )
      : []),
    ...(experts === undefined ? [] : worker.layers.map((layer) => mountExpert(worker, experts, layer))),
    ...buffers
      .filter(({ group }) => layout.hasCourier(group))
      .map((each) => mountCourier(worker, each, memoryOf(each))),
    ...shards.map((each) => mountOptimizer(each)),
    ...layout.wardsOf(worker.rank).map((ward) => mountWard(worker, ward)),
  ];
  const names = workerActors(job, worker.rank);
  assert(names.length === mounts.length, 'every address of a worker has an actor', { worker: worker.rank });
  names.forEach((name, index) => {
    const mount = mounts[index];
    assert(mount, 'every address of a worker has an actor', { name });
    system.mount(name, escalate, mount);
  });
  return { worker, buffers, shards };
}

function stageMounts(
  worker: Worker,
  groups: readonly GroupBuffers[],
  tokens: TokenSource | null,
): readonly Mount[] {
  const { job, rank } = worker;
  assert(tokens, 'a stage has tokens', { worker: rank });
  const parameters = new StageParameters(groups, worker);
  const passes = new Passes(worker, parameters);
  return [
    ...(job.layout.hasFeeder(rank) ? [mountFeeder(job, rank, tokens)] : []),
    mountStage({ worker, parameters, passes }),
    ...passes.slots.all.map((slot) => mountPass({ worker, parameters, passes, slot })),
    ...worker.layers.flatMap((layer) =>
      job.layout.gatesOf(layer, rank).map(() => mountGate(worker, passes, layer)),
    ),
  ];
}

export interface LeadPorts {
  readonly trainer: Omit<TrainerOptions, 'job'>;
  readonly supervisor: Omit<SupervisorOptions, 'workers' | 'machines' | 'joinMs'>;
}

/** Mounts trainer and supervisor. */
export function mountLead(system: ActorSystem, job: Job, ports: LeadPorts): void {
  const { layout } = job;
  const workers = new Map(
    Array.from(
      layout.nodes(),
      (worker) => [layout.nodeOf(worker), { worker, actors: workerActors(job, worker) }] as const,
    ),
  );
  const machines = new Map(
    Array.from({ length: layout.machines.count }, (_, machine) => {
      const { nodes } = crewOf(layout, machine);
      return [agentNodeOf(machine), { machine, nodes: nodes.map((node) => layout.nodeOf(node)) }] as const;
    }).filter(([, { nodes }]) => nodes.length > 0),
  );
  system.mount(
    addresses.supervisor,
    escalate,
    mountSupervisor({ ...ports.supervisor, workers, machines, joinMs: job.deadlines.joinMs }),
  );
  system.mount(addresses.trainer, escalate, mountTrainer({ ...ports.trainer, job }));
}

/** Mounts the store on the node of the lead, where nothing of it is lost with a machine. */
export function mountStoreBesideLead(lead: ActorSystem, job: Job, store: Omit<StoreOptions, 'job'>): void {
  lead.mount(addresses.store(0), escalate, mountStore({ ...store, job }));
}

/**
 * Mounts the agent of a machine.
 *
 * @param options - `life`: above 1 it takes the place of a lost one; `store`: the sink of checkpoints, on the first machine; `lead`: it
 * restarts the lead; `part`: where its shards save, while machines write parts
 */
export function mountAgent(
  system: ActorSystem,
  job: Job,
  options: {
    readonly machine: number;
    readonly life?: number;
    readonly store?: Omit<StoreOptions, 'job'>;
    readonly lead?: LeadRestarts;
    readonly part?: Pick<PartOptions, 'storage' | 'folder'>;
  },
): void {
  const { machine, life = 1, store, lead, part } = options;
  const port = lead === undefined ? {} : { lead };
  system.mount(addresses.agent(machine), escalate, mountMachineAgent(job, { machine, life, ...port }));
  if (store !== undefined) system.mount(addresses.store(machine), escalate, mountStore({ ...store, job }));
  if (part !== undefined)
    system.mount(addresses.part(machine), escalate, mountPart({ ...part, job, machine, life }));
}
