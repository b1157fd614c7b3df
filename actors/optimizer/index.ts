import { mountOf, type Mount } from '@troupe/runtime';
import type { GroupName } from '@troupe/topology/layout';
import type { Replica } from '../replica.ts';
import { optimizerEffects } from './effects.ts';
import { fencedByOptimizer, type OptimizerSelf } from './events.ts';
import { optimizerMachine } from './machine.ts';
import { Shard } from './shard.ts';

export function mountOptimizer(replica: Replica, name: GroupName): Mount {
  return mountOf((self: OptimizerSelf) => {
    const shard = new Shard(replica, replica.group(name));
    return {
      machine: optimizerMachine,
      input: shard.input,
      effects: optimizerEffects(self, shard),
      ...replica.fence(fencedByOptimizer),
    };
  });
}
