import type { Crew } from '../crew.ts';
import type { Job } from '../job.ts';
import { evaluatingEffects } from './evaluating.ts';
import type { AgentSelf } from './events.ts';
import { feedingEffects } from './feeding.ts';
import type { AgentEffects } from './machine.ts';
import { returningEffects } from './returning.ts';
import { AgentState } from './state.ts';
import { steppingEffects } from './stepping.ts';
import { watchingEffects } from './watching.ts';

export function agentEffects(self: AgentSelf, job: Job, crew: Crew): AgentEffects {
  const state = new AgentState(self, job, crew);
  return {
    ...feedingEffects(self, state),
    ...steppingEffects(self, state),
    ...evaluatingEffects(self, state),
    ...returningEffects(self, state),
    ...watchingEffects(self),
  };
}
