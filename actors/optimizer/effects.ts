import { MovingExperts } from '../moving-experts.ts';
import { addingEffects } from './adding.ts';
import { applyingEffects } from './applying.ts';
import { collectingEffects } from './collecting.ts';
import { Distribution } from './distribution.ts';
import type { OptimizerSelf } from './events.ts';
import { givingEffects } from './giving.ts';
import { guardingEffects } from './guarding.ts';
import { LevelSums } from './level-sums.ts';
import { loadingEffects } from './loading.ts';
import { movingEffects } from './moving.ts';
import type { OptimizerEffects } from './machine.ts';
import type { ShardMemory } from './shard-memory.ts';
import type { ShardParts } from './shard-parts.ts';

export function optimizerEffects(self: OptimizerSelf, memory: ShardMemory): OptimizerEffects {
  const { shard } = memory;
  const { layout } = shard.worker.job;
  const parts: ShardParts = {
    shard,
    memory,
    distribution: new Distribution(self, shard, memory),
    moving: new MovingExperts(shard.worker, { group: shard.group, worker: shard.rank }),
    levels: layout.hasCourier(shard.group) ? new LevelSums(shard.worker.device, shard.group.segments) : null,
    ward: shard.buddy === null ? null : layout.wardOf(shard.group, shard.rank),
  };
  return {
    ...loadingEffects(self, parts),
    ...collectingEffects(self, parts),
    ...addingEffects(self, parts),
    ...givingEffects(self, parts),
    ...applyingEffects(self, parts),
    ...guardingEffects(self, parts),
    ...movingEffects(self, parts),
  };
}
