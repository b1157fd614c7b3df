import { escalate, mountOf, type Mount } from '@troupe/runtime';
import { addresses } from '@troupe/topology/layout';
import type { ProgramSystem } from '../messages.ts';
import { mountServingExpert } from '../expert/index.ts';
import { serviceEffects } from './effects.ts';
import type { ServiceSelf } from './events.ts';
import { serviceMachine, type ServiceInput } from './machine.ts';
import type { ServedExperts } from './served-experts.ts';

export { ServedExperts, type ServedGroup } from './served-experts.ts';

function mountService(host: ServedExperts, capacity: number): Mount {
  return mountOf((self: ServiceSelf) => {
    const input: ServiceInput = {
      capacity,
      sizes: { dim: host.job.model.dModel, experts: host.count },
    };
    return { machine: serviceMachine, input, effects: serviceEffects(self, host) };
  });
}

/**
 * Mounts one expert actor, alone, and beside it, where its gate would be, an actor that takes the questions of other programs to it.
 *
 * @param host - with its weights
 * @param options - `capacity`: questions that may wait
 * @returns the address to ask
 */
export function mountExpertService(
  system: ProgramSystem,
  host: ServedExperts,
  options: { readonly capacity: number },
): ReturnType<typeof addresses.gate> {
  const { layer } = host;
  const front = addresses.gate(layer, { pp: 0, dp: 0 });
  const expert = addresses.expert(layer, { ep: 0, edp: 0 });
  system.mount(expert, escalate, mountServingExpert(host, layer));
  system.mount(front, escalate, mountService(host, options.capacity));
  system.tell(expert, 'weights.publish', { body: { from: 0, to: host.weights.data.length } });
  return front;
}
