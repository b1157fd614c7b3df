import type { Crew } from '../crew.ts';
import type { Job } from '../job.ts';
import { evaluatingEffects } from './evaluating.ts';
import type { AgentSelf } from './events.ts';
import { feedingEffects } from './feeding.ts';
import { leadingEffects, type LeadWatch } from './leading.ts';
import type { AgentEffects } from './machine.ts';
import { returningEffects } from './returning.ts';
import { AgentState } from './state.ts';
import { steppingEffects } from './stepping.ts';
import { watchingEffects } from './watching.ts';

/** @param lead - of the first machine, where it can restart the lead */
export function agentEffects(
  self: AgentSelf,
  job: Job,
  { crew, life, lead }: { readonly crew: Crew; readonly life: number; readonly lead: LeadWatch | null },
): AgentEffects {
  const state = new AgentState(self, job, crew, life);
  return {
    ...feedingEffects(self, state),
    ...steppingEffects(self, state),
    ...evaluatingEffects(self, state),
    ...returningEffects(self, state),
    ...watchingEffects(self, state, lead),
    ...leadingEffects(self, state, lead),
  };
}
