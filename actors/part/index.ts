import { mountOf, type Mount } from '@troupe/runtime';
import { crewOf } from '../crew.ts';
import { partEffects } from './effects.ts';
import { fencedByPart, type PartSelf } from './events.ts';
import { partMachine, type PartContext } from './machine.ts';
import type { PartOptions } from './options.ts';

export type { PartOptions } from './options.ts';

/** The store of a machine, beside its agent: what its shards save. */
export function mountPart(options: PartOptions): Mount {
  const { shards } = crewOf(options.job.layout, options.machine);
  return mountOf((self: PartSelf) => ({
    machine: partMachine,
    input: { numShards: shards.length },
    effects: partEffects(self, options),
    epoch: ({ attempt }: PartContext) => ({ step: 0, attempt }),
    fenced: fencedByPart,
  }));
}
