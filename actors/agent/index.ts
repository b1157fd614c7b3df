import { mountOf, type Mount } from '@troupe/runtime';
import { crewOf } from '../crew.ts';
import type { Job } from '../job.ts';
import { agentEffects } from './effects.ts';
import { fencedByAgent, type AgentSelf } from './events.ts';
import type { LeadRestarts } from './lead-restarts.ts';
import { LeadWatch } from './leading.ts';
import { agentMachine, type AgentContext, type AgentInput } from './machine.ts';

export type { LeadRestarts } from './lead-restarts.ts';

/**
 * The agent of a machine.
 *
 * @param options - `life`: above 1 it takes the place of a lost one; `lead`: it restarts the lead
 */
export function mountMachineAgent(
  job: Job,
  options: { readonly machine: number; readonly life: number; readonly lead?: LeadRestarts },
): Mount {
  const { machine, life } = options;
  const crew = crewOf(job.layout, machine);
  return mountOf((self: AgentSelf) => {
    const lead = options.lead === undefined ? null : new LeadWatch(self, options.lead);
    const input: AgentInput = { crew, joins: life > 1 };
    return {
      machine: agentMachine,
      input,
      effects: agentEffects(self, job, { crew, life, lead }),
      epoch: ({ attempt }: AgentContext) => ({ step: 0, attempt }),
      fenced: fencedByAgent,
      dispose: () => lead?.end(),
    };
  });
}
