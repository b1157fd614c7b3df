import { assert, nodeId, type Address, type NodeId, type Storage } from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import { escalate, type ActorSystem, type Mount } from '@troupe/runtime';
import { addresses } from './addresses.ts';
import { mountExpert } from './expert/index.ts';
import { mountFeeder, type TokenSource } from './feeder/index.ts';
import { mountGate } from './gate/index.ts';
import { expertRank, jobShape, type Job } from './job.ts';
import { mountOptimizer } from './optimizer/index.ts';
import { Replica } from './replica.ts';
import { mountStage } from './stage/index.ts';
import { mountStore, type StoreOptions } from './store/index.ts';
import { mountSupervisor, type SupervisorOptions } from './supervisor/index.ts';
import { mountTrainer, type TrainerOptions } from './trainer/index.ts';

export const agentNode: NodeId = nodeId('agent/0');
export const workerNode = (dp: number): NodeId => nodeId(`worker/${dp}`);

/** Names of the actors of replica `dp`, in the order in which they are mounted. */
export function workerActors(job: Job, dp: number): readonly Address[] {
  const { layers } = jobShape(job);
  const { ep, edp } = expertRank(job, dp);
  return [
    addresses.feeder(dp),
    addresses.stage(dp),
    ...layers.map((layer) => addresses.gate(layer, dp)),
    ...layers.map((layer) => addresses.expert(layer, ep, edp)),
    addresses.optimizer('dense', dp),
    ...(layers.length === 0 ? [] : [addresses.optimizer('expert', dp)]),
  ];
}

/**
 * Mounts the actors of replica `dp` over a device and a token source.
 *
 * @param ports - `joins`: the worker takes the place of a lost one, whose state it gets from others when the trainer says so
 */
export function mountWorker(
  system: ActorSystem,
  job: Job,
  ports: {
    readonly dp: number;
    readonly device: Device;
    readonly tokens: TokenSource;
    readonly joins?: boolean;
  },
): Replica {
  const { dp, device, tokens, joins = false } = ports;
  const replica = new Replica(job, dp, device, joins);
  const { layers } = replica.shape;
  const mounts: Mount[] = [
    mountFeeder(job, dp, tokens),
    mountStage(replica),
    ...layers.map((layer) => mountGate(replica, layer)),
    ...layers.map((layer) => mountExpert(replica, layer)),
    mountOptimizer(replica, 'dense'),
    ...(layers.length === 0 ? [] : [mountOptimizer(replica, 'expert')]),
  ];
  workerActors(job, dp).forEach((address, index) => {
    const mount = mounts[index];
    assert(mount, 'every address of a worker has an actor', { address });
    system.mount(address, escalate, mount);
  });
  return replica;
}

export interface AgentPorts {
  readonly storage: Storage;
  readonly trainer: Omit<TrainerOptions, 'job'>;
  readonly store: Omit<StoreOptions, 'job' | 'storage'>;
  readonly supervisor: Omit<SupervisorOptions, 'workers' | 'joinMs'>;
}

/** Mounts trainer, supervisor and store. */
export function mountAgent(system: ActorSystem, job: Job, ports: AgentPorts): void {
  const workers = new Map(
    Array.from(
      { length: job.dp },
      (_, dp) => [workerNode(dp), { dp, actors: workerActors(job, dp) }] as const,
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
