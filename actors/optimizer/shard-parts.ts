import type { Address } from '@troupe/core';
import type { Distribution } from './distribution.ts';
import type { ShardMemory } from './shard-memory.ts';
import type { Shard } from './shard.ts';

/** What the effects of a shard work on. */
export interface ShardParts {
  readonly shard: Shard;
  readonly memory: ShardMemory;
  readonly distribution: Distribution;
  /** The shard that keeps a copy of this one's state; null: none does. */
  readonly buddy: Address | null;
}
