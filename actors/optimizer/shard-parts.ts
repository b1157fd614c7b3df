import type { Address } from '@troupe/core';
import type { MovingExperts } from '../moving-experts.ts';
import type { Distribution } from './distribution.ts';
import type { LevelSums } from './level-sums.ts';
import type { ShardMemory } from './shard-memory.ts';
import type { Shard } from './shard.ts';

/** What the effects of a shard work on. */
export interface ShardParts {
  readonly shard: Shard;
  readonly memory: ShardMemory;
  readonly distribution: Distribution;
  /** Experts on their way here. */
  readonly moving: MovingExperts;
  /** Sums of groups below the last level, where gradients come in buckets; null: they come once, from buffers that stay. */
  readonly levels: LevelSums | null;
  /** What keeps a copy of the state, on the buddy; null: nothing does. */
  readonly ward: Address | null;
}
