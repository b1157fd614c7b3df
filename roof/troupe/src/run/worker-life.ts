import {
  addresses,
  mountWorker,
  type Job,
  type MountedWorker,
  type ProgramSystem,
  type TokenSource,
} from '@troupe/actors';
import type { Device } from '@troupe/kernel-set';
import type { WorkerRank } from '@troupe/topology/worker';

/** One life of a worker or a host: a device, and its actors. */
export interface WorkerLife {
  readonly worker: WorkerRank;
  /** From 1; a later life takes the place of a lost one. */
  readonly incarnation: number;
  readonly device: Device;
  /** Null: a host, which feeds nobody. */
  readonly tokens: TokenSource | null;
}

/** Mounts a worker into its system, which begins to listen. Wherever its process is. */
export function beginWorker(system: ProgramSystem, job: Job, life: WorkerLife): MountedWorker {
  const { worker, incarnation, device, tokens } = life;
  const joins = incarnation > 1;
  const mounted = mountWorker(system, job, { worker, device, tokens, joins });
  system.listen();
  // Over the connections of this life, so that whatever follows from it travels on them too.
  const agent = addresses.agent(job.layout.machineOf(worker));
  if (joins) system.tell(agent, 'worker.joined', { body: { node: system.node, incarnation } });
  return mounted;
}
