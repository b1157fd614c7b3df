import type { Address } from '@troupe/core';
import { addresses } from '../addresses.ts';
import { classPeers, parameterClasses, type Job } from '../job.ts';

/** Where the state of one shard comes from: itself, or another shard that holds the same. */
export interface ShardSource {
  readonly shard: Address;
  readonly from: Address;
}

/**
 * How every shard gets to hold its state of `version` from what shards hold: whoever has it keeps it, others get a copy of the first
 * peer that has the same.
 *
 * Under ZeRO 0 all peers of a class hold all of it; under ZeRO 1 each holds its slice alone.
 *
 * @param held - version that each shard holds completely; absent: none
 * @returns null when some state of `version` is held by nobody
 */
export function planRecovery(
  job: Job,
  held: ReadonlyMap<Address, number>,
  version: number,
): readonly ShardSource[] | null {
  const sources: ShardSource[] = [];
  for (let dp = 0; dp < job.dp; dp++) {
    for (const each of parameterClasses(job)) {
      const shard = addresses.optimizer(each, dp);
      const twins = job.zero === 0 ? classPeers(job, each, dp) : [dp];
      const candidates = [shard, ...twins.map((peer) => addresses.optimizer(each, peer))];
      const from = candidates.find((candidate) => held.get(candidate) === version);
      if (from === undefined) return null;
      sources.push({ shard, from });
    }
  }
  return sources;
}
