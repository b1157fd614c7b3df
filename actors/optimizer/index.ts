import { mountOf, type Mount } from '@troupe/runtime';
import { optimizerEffects } from './effects.ts';
import { fencedByOptimizer, type OptimizerSelf } from './events.ts';
import { optimizerMachine } from './machine.ts';
import type { ShardMemory } from './shard-memory.ts';

/** The shard of a parameter group on a worker. */
export function mountOptimizer(memory: ShardMemory): Mount {
  const { shard } = memory;
  return mountOf((self: OptimizerSelf) => ({
    machine: optimizerMachine,
    input: shard.input,
    effects: optimizerEffects(self, memory),
    ...shard.worker.fence(fencedByOptimizer),
  }));
}
