import type { Address } from '@troupe/core';
import type { Layout, ParameterGroup, WorkerRank } from '@troupe/topology/layout';

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
  layout: Layout,
  held: HeldState,
  version: number,
): readonly ShardSource[] | null {
  const sources: ShardSource[] = [];
  for (const worker of layout.workers()) {
    for (const group of layout.groupsOf(worker)) {
      const source = sourceOf(layout, { group, worker }, { held, version });
      if (source === null) return null;
      sources.push({ shard: layout.shardOf(group, worker), ...source });
    }
  }
  return sources;
}

function sourceOf(
  layout: Layout,
  { group, worker }: { readonly group: ParameterGroup; readonly worker: WorkerRank },
  { held, version }: { readonly held: HeldState; readonly version: number },
): Omit<ShardSource, 'shard'> | null {
  const shard = layout.shardOf(group, worker);
  const holds = (from: Address): boolean => held.versions.get(from) === version;
  if (holds(shard)) return { from: shard, fromCopy: false };
  if (layout.hasTwins(group)) {
    for (const twin of group.holders) {
      const from = layout.shardOf(group, twin);
      if (holds(from)) return { from, fromCopy: false };
    }
    return null;
  }
  const buddy = layout.buddyOf(group, worker);
  return buddy !== null && held.copies.get(shard) === version
    ? { from: layout.shardOf(group, buddy), fromCopy: true }
    : null;
}
