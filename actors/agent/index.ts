import { mountOf, type Mount } from '@troupe/runtime';
import { crewOf } from '../crew.ts';
import type { Job } from '../job.ts';
import { agentEffects } from './effects.ts';
import { fencedByAgent, type AgentSelf } from './events.ts';
import { agentMachine, type AgentContext, type AgentInput } from './machine.ts';

/** The agent of a machine. */
export function mountMachineAgent(
  job: Job,
  { machine, joins }: { readonly machine: number; readonly joins: boolean },
): Mount {
  const crew = crewOf(job.layout, machine);
  return mountOf((self: AgentSelf) => {
    const input: AgentInput = { crew, joins };
    return {
      machine: agentMachine,
      input,
      effects: agentEffects(self, job, crew),
      epoch: ({ attempt }: AgentContext) => ({ step: 0, attempt }),
      fenced: fencedByAgent,
    };
  });
}
