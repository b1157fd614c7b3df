import { mountOf, type Mount } from '@troupe/runtime';
import type { WorkerRank } from '@troupe/topology/layout';
import type { Job } from '../job.ts';
import { feederEffects } from './effects.ts';
import type { FeederSelf } from './events.ts';
import { feederMachine } from './machine.ts';
import type { TokenSource } from './token-source.ts';

export type { TokenBatch, TokenSource } from './token-source.ts';

/** Prefetches the sequences of the replica that a worker begins. */
export function mountFeeder(job: Job, worker: WorkerRank, source: TokenSource): Mount {
  return mountOf((self: FeederSelf) => ({
    machine: feederMachine,
    input: undefined,
    effects: feederEffects(self, job, worker, source),
  }));
}
