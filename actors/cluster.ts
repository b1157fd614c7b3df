import { assert, type Address, type NodeId, type Storage } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import { escalate, type ActorSystem, type Mount } from '@troupe/runtime';
import { addresses, agentNodeOf, type GroupName, type WorkerRank } from '@troupe/topology/layout';
import { mountExpert } from './expert/index.ts';
import { mountFeeder, type TokenSource } from './feeder/index.ts';
import { mountGate } from './gate/index.ts';
import { GroupBuffers } from './group-buffers.ts';
import type { Job } from './job.ts';
import { mountOptimizer } from './optimizer/index.ts';
import { Passes } from './pass.ts';
import { mountStage } from './stage/index.ts';
import { mountStore, type StoreOptions } from './store/index.ts';
import { mountSupervisor, type SupervisorOptions } from './supervisor/index.ts';
import { mountTrainer, type TrainerOptions } from './trainer/index.ts';
import { Worker } from './worker.ts';

/** The agent of the first machine: trainer, supervisor and store live there. */
export const agentNode: NodeId = agentNodeOf(0);

/** Names of the actors of a worker, in the order in which they are mounted. */
export function workerActors({ layout }: Job, worker: WorkerRank): readonly Address[] {
  const layers = layout.moeLayersOf(layout.at(worker).pp);
  return [
    layout.feederOf(worker),
    layout.stageOf(worker),
    ...layers.map((layer) => layout.gateOf(layer, worker)),
    ...layers.map((layer) => layout.expertOf(layer, worker)),
    ...layout.groupsOf(worker).map((group) => layout.shardOf(group, worker)),
  ];
}

/** A worker whose actors are mounted, and the buffers of its parameter groups. */
export interface MountedWorker {
  readonly worker: Worker;
  readonly buffers: readonly GroupBuffers[];
}

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
    readonly tokens: TokenSource;
    readonly joins?: boolean;
  },
): MountedWorker {
  const worker = new Worker(job, ports.worker, ports.device, ports.joins);
  const { layers } = worker;
  const buffers = worker.groups.map((group) => new GroupBuffers(worker, group));
  const of = (name: GroupName): GroupBuffers => {
    const found = buffers.find(({ group }) => group.name === name);
    assert(found, 'a worker has buffers for all that its actors compute with', { name });
    return found;
  };
  const dense = of('dense');
  const passes = new Passes(worker, dense);
  const mounts: Mount[] = [
    mountFeeder(job, worker.rank, ports.tokens),
    mountStage({ worker, dense, passes }),
    ...layers.map((layer) => mountGate(worker, passes, layer)),
    ...layers.map((layer) => mountExpert(worker, of('expert'), layer)),
    ...buffers.map((each) => mountOptimizer(worker, each)),
  ];
  workerActors(job, worker.rank).forEach((address, index) => {
    const mount = mounts[index];
    assert(mount, 'every address of a worker has an actor', { address });
    system.mount(address, escalate, mount);
  });
  return { worker, buffers };
}

export interface AgentPorts {
  readonly storage: Storage;
  readonly trainer: Omit<TrainerOptions, 'job'>;
  readonly store: Omit<StoreOptions, 'job' | 'storage'>;
  readonly supervisor: Omit<SupervisorOptions, 'workers' | 'joinMs'>;
}

/** Mounts trainer, supervisor and store. */
export function mountAgent(system: ActorSystem, job: Job, ports: AgentPorts): void {
  const { layout } = job;
  const workers = new Map(
    Array.from(
      layout.workers(),
      (worker) => [layout.nodeOf(worker), { worker, actors: workerActors(job, worker) }] as const,
    ),
  );
  system.mount(
    addresses.supervisor,
    escalate,
    mountSupervisor({ ...ports.supervisor, workers, joinMs: job.deadlines.joinMs }),
  );
  system.mount(addresses.store(0), escalate, mountStore({ ...ports.store, job, storage: ports.storage }));
  system.mount(addresses.trainer, escalate, mountTrainer({ ...ports.trainer, job }));
}
