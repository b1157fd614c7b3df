import type { Mount } from '@troupe/runtime';
import type { ParameterClassName } from '../job.ts';
import type { Replica } from '../replica.ts';
import { optimizerEffects } from './effects.ts';
import { fencedByOptimizer, optimizerMachine } from './machine.ts';
import { Shard } from './shard.ts';

export function mountOptimizer(replica: Replica, parameterClass: ParameterClassName): Mount {
  return (self) => {
    const shard = new Shard(replica, parameterClass);
    return {
      machine: optimizerMachine,
      input: shard.input,
      effects: optimizerEffects(self, shard),
      ...replica.fence(fencedByOptimizer),
    };
  };
}
