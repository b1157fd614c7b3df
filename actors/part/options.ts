import type { Hasher } from '@troupe/checkpoint';
import type { Storage } from '@troupe/core';
import type { Job } from '../job.ts';

export interface PartOptions {
  readonly job: Job;
  readonly machine: number;
  /** Life of the machine's agent. */
  readonly life: number;
  /** The disk of the lead, as this machine sees it. */
  readonly storage: Storage;
  /** Folder of the run's checkpoints inside the storage. */
  readonly folder: string;
  /** Default: by the size of a file. */
  readonly hasher?: Hasher;
}
