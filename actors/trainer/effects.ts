import { closingEffects } from './closing.ts';
import { committingEffects } from './committing.ts';
import type { Company } from './company.ts';
import { evaluationEffects } from './evaluation.ts';
import type { TrainerSelf } from './events.ts';
import { generationEffects } from './generation.ts';
import { movingEffects } from './moving.ts';
import type { TrainerEffects } from './machine.ts';
import { openingEffects } from './opening.ts';
import type { TrainerOptions } from './options.ts';
import { recordingEffects } from './recording.ts';
import { leavingEffects, returningEffects } from './recovery.ts';
import { TrainerState } from './state.ts';
import { takingOverEffects } from './taking-over.ts';

export function trainerEffects(self: TrainerSelf, options: TrainerOptions, company: Company): TrainerEffects {
  const state = new TrainerState(self, options, company);
  return {
    ...openingEffects(self, state),
    ...committingEffects(self, state),
    ...recordingEffects(self, state),
    ...evaluationEffects(self, state),
    ...generationEffects(self, state),
    ...closingEffects(self, state),
    ...movingEffects(self, state),
    ...takingOverEffects(self, state),
    ...leavingEffects(self, state),
    ...returningEffects(self, state),
  };
}
