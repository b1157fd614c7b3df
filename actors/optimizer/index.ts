import { mountOf, type Mount } from '@troupe/runtime';
import type { ParameterClassName } from '../job.ts';
import type { Replica } from '../replica.ts';
import { optimizerEffects } from './effects.ts';
import { fencedByOptimizer, type OptimizerSelf } from './events.ts';
import { optimizerMachine } from './machine.ts';
import { Shard } from './shard.ts';

export function mountOptimizer(replica: Replica, parameterClass: ParameterClassName): Mount {
  return mountOf((self: OptimizerSelf) => {
    const shard = new Shard(replica, parameterClass);
    return {
      machine: optimizerMachine,
      input: shard.input,
      effects: optimizerEffects(self, shard),
      ...replica.fence(fencedByOptimizer),
    };
  });
}
