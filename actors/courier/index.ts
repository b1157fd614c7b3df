import { mountOf, type Mount } from '@troupe/runtime';
import type { GroupBuffers } from '../group-buffers.ts';
import type { ShardMemory } from '../optimizer/shard-memory.ts';
import type { Worker } from '../worker.ts';
import { courierEffects } from './effects.ts';
import { fencedByCourier, type CourierSelf } from './events.ts';
import { courierMachine } from './machine.ts';

/** The courier of a parameter group on a worker, beside the stage or the experts that compute with it. */
export function mountCourier(worker: Worker, buffers: GroupBuffers, beside: ShardMemory | null): Mount {
  return mountOf((self: CourierSelf) => ({
    machine: courierMachine,
    input: {},
    effects: courierEffects(self, worker, buffers, beside),
    ...worker.fence(fencedByCourier),
  }));
}
