import type { Mount } from '@troupe/runtime';
import type { Replica } from '../replica.ts';
import { expertEffects } from './effects.ts';
import { fencedByExpert, expertMachine, type ExpertInput } from './machine.ts';

export { parametersOf, type ExpertRule } from './rule.ts';

export function mountExpert(replica: Replica, layer: number): Mount {
  return (self) => {
    const { from, to } = replica.expertBuffers(layer);
    const input: ExpertInput = {
      version: replica.job.first.step,
      numElements: to - from,
      numSources: replica.job.ep,
    };
    return {
      machine: expertMachine,
      input,
      effects: expertEffects(self, replica, layer),
      ...replica.fence(fencedByExpert),
    };
  };
}
