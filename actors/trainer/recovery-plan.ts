import type { Address } from '@troupe/core';
import { addresses } from '../addresses.ts';
import { classPeers, parameterClasses, type JobLayout, type ParameterClassName } from '../job.ts';
import { buddyOf } from '../optimizer/buddies.ts';

/** Where the state of one shard comes from: itself, another shard that holds the same, or its buddy's copy. */
export interface ShardSource {
  readonly shard: Address;
  readonly from: Address;
  readonly fromCopy: boolean;
}

/** Versions that shards hold completely, of their own state and (by the shard that it belongs to) as buddies. */
export interface HeldState {
  readonly versions: ReadonlyMap<Address, number>;
  readonly copies: ReadonlyMap<Address, number>;
}

/**
 * How every shard gets to hold its state of `version` from what shards hold: whoever has it keeps it, others get a copy of the first
 * peer that has the same, else what its buddy kept.
 *
 * Under ZeRO 0 all peers of a class hold all of it; under ZeRO 1 each holds its slice alone, so there the buddy is the only other.
 *
 * @param held - a shard that is absent holds nothing
 * @returns null when some state of `version` is held by nobody
 */
export function planRecovery(
  job: JobLayout,
  held: HeldState,
  version: number,
): readonly ShardSource[] | null {
  const sources: ShardSource[] = [];
  for (let dp = 0; dp < job.dp; dp++) {
    for (const each of parameterClasses(job)) {
      const source = sourceOf(job, each, dp, { held, version });
      if (source === null) return null;
      sources.push({ shard: addresses.optimizer(each, dp), ...source });
    }
  }
  return sources;
}

function sourceOf(
  job: JobLayout,
  parameterClass: ParameterClassName,
  dp: number,
  wanted: { readonly held: HeldState; readonly version: number },
): Omit<ShardSource, 'shard'> | null {
  const { held, version } = wanted;
  const named = (rank: number): Address => addresses.optimizer(parameterClass, rank);
  const twins = job.zero === 0 ? classPeers(job, parameterClass, dp) : [];
  const holder = [dp, ...twins].find((rank) => held.versions.get(named(rank)) === version);
  if (holder !== undefined) return { from: named(holder), fromCopy: false };
  const buddy = buddyOf(job, parameterClass, dp);
  return buddy !== null && held.copies.get(named(dp)) === version
    ? { from: named(buddy), fromCopy: true }
    : null;
}
