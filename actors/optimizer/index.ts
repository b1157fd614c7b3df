import { mountOf, type Mount } from '@troupe/runtime';
import type { GroupBuffers } from '../group-buffers.ts';
import type { Worker } from '../worker.ts';
import { optimizerEffects } from './effects.ts';
import { fencedByOptimizer, type OptimizerSelf } from './events.ts';
import { optimizerMachine } from './machine.ts';
import { Shard } from './shard.ts';

/** The shard of a parameter group on a worker. */
export function mountOptimizer(worker: Worker, buffers: GroupBuffers): Mount {
  return mountOf((self: OptimizerSelf) => {
    const shard = new Shard(worker, buffers);
    return {
      machine: optimizerMachine,
      input: shard.input,
      effects: optimizerEffects(self, shard),
      ...worker.fence(fencedByOptimizer),
    };
  });
}
