import { mountOf, type Mount } from '@troupe/runtime';
import { partMachines } from '../crew.ts';
import { storeEffects } from './effects.ts';
import { fencedByStore, type StoreSelf } from './events.ts';
import { storeMachine, type StoreContext } from './machine.ts';
import type { StoreOptions } from './options.ts';

export type { StoreOptions } from './options.ts';

/** The durable sink of a job: slices are read from it, checkpoints are written by it. */
export function mountStore(options: StoreOptions): Mount {
  return mountOf((self: StoreSelf) => ({
    machine: storeMachine,
    input: { numParts: options.job.parts === true ? partMachines(options.job).length : null },
    effects: storeEffects(self, options),
    epoch: ({ attempt }: StoreContext) => ({ step: 0, attempt }),
    fenced: fencedByStore,
  }));
}
