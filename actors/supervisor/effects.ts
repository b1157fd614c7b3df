import type { SupervisorSelf } from './events.ts';
import type { SupervisorEffects } from './machine.ts';
import type { SupervisorOptions } from './options.ts';
import { reportingEffects } from './reporting.ts';
import type { Timers } from './timers.ts';
import { watchingEffects } from './watching.ts';

/** @param timers - of this life */
export function supervisorEffects(
  self: SupervisorSelf,
  options: SupervisorOptions,
  timers: Timers,
): SupervisorEffects {
  return { ...watchingEffects(self, options, timers), ...reportingEffects(self, options) };
}
