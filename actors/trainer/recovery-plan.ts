import type { Address } from '@troupe/core';
import type { Layout, ShardPlace, WorkerRank } from '@troupe/topology/layout';

/** Where the state of one shard comes from: itself, another shard that holds the same, or the copy that its buddy keeps. */
export interface ShardSource {
  readonly shard: Address;
  readonly from: Address;
  /** Where `from` lives. */
  readonly home: WorkerRank;
}

/**
 * How every shard gets to hold its state of `version` from what shards and copies of shards hold: whoever has it keeps it, others get
 * that of the first other that has the same.
 *
 * Under ZeRO 0 all holders of a group hold all of it; else each holds its slice alone, so there the buddy is the only other.
 *
 * @param held - versions that are held completely; what is absent holds nothing
 * @returns null when some state of `version` is held by nobody
 */
export function planRecovery(
  layout: Layout,
  held: ReadonlyMap<Address, number>,
  version: number,
): readonly ShardSource[] | null {
  const sources: ShardSource[] = [];
  for (const worker of layout.workers()) {
    for (const group of layout.groupsOf(worker)) {
      const source = first(sourcesOf(layout, { group, worker }), ({ from }) => held.get(from) === version);
      if (source === null) return null;
      sources.push({ shard: layout.shardOf(group, worker), ...source });
    }
  }
  return sources;
}

/** Whoever may hold the state of a shard, itself first. */
function* sourcesOf(layout: Layout, { group, worker }: ShardPlace): Generator<Omit<ShardSource, 'shard'>> {
  yield { from: layout.shardOf(group, worker), home: layout.homeOf(worker) };
  if (layout.hasTwins(group))
    for (const twin of group.holders) yield { from: layout.shardOf(group, twin), home: layout.homeOf(twin) };
  const buddy = layout.buddyOf(group, worker);
  if (buddy !== null) yield { from: layout.wardOf(group, worker), home: buddy };
}

function first<T>(values: Iterable<T>, is: (value: T) => boolean): T | null {
  for (const value of values) if (is(value)) return value;
  return null;
}
