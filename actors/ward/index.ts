import { mountOf, type Mount } from '@troupe/runtime';
import type { ShardPlace } from '@troupe/topology/layout';
import { sumsOf } from '../gradient-sink.ts';
import { lengthOf } from '../gradients.ts';
import type { Worker } from '../worker.ts';
import { wardEffects } from './effects.ts';
import { fencedByWard, type WardSelf } from './events.ts';
import { wardMachine, type WardInput } from './machine.ts';
import { WardMemory } from './ward-memory.ts';

/** The copy that a worker keeps of what the shard of another one alone has. */
export function mountWard(worker: Worker, ward: ShardPlace): Mount {
  const owns = worker.job.layout.ownedBy(ward.group, ward.worker);
  return mountOf((self: WardSelf) => {
    const memory = new WardMemory(worker.device, { group: ward.group, owns }, sumsOf(worker.job, ward.group));
    const input: WardInput = { size: lengthOf(owns) };
    return {
      machine: wardMachine,
      input,
      effects: wardEffects(self, worker, ward, memory),
      ...worker.fence(fencedByWard),
    };
  });
}
