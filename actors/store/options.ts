import type { Storage } from '@troupe/core';
import type { CheckpointReader, Hasher } from '@troupe/checkpoint';
import type { Job } from '../job.ts';

export interface StoreOptions {
  readonly job: Job;
  readonly storage: Storage;
  /** Folder of the run's checkpoints inside the storage. */
  readonly folder: string;
  /** Checkpoints that are kept; older ones are removed after a newer one is complete. */
  readonly keep: number;
  /** The resolved topology, for the manifest. */
  readonly topology: unknown;
  readonly tokenizer: Uint8Array | null;
  /** Of the documents that the run reads, for the manifest; null when it reads none, or its tokens are a program's own. */
  readonly corpusSha256: string | null;
  /** Default: a thread of its own. */
  readonly hasher?: Hasher;
  /** The checkpoint that the run goes on from, or whose weights it begins with; null for a fresh start. */
  readonly resumeFrom: CheckpointReader | null;
}

/** Hashing as the options name it, spread into calls that take an optional hasher. */
export const hashingOf = ({ hasher }: StoreOptions): { readonly hasher?: Hasher } =>
  hasher === undefined ? {} : { hasher };
