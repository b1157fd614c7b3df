import { backwardEffects } from './backward.ts';
import { evaluationEffects } from './evaluation.ts';
import type { StageSelf } from './events.ts';
import { forwardEffects } from './forward.ts';
import type { StageEffects } from './machine.ts';
import { openingEffects } from './opening.ts';
import { StageState, type StageParts } from './state.ts';

export function stageEffects(self: StageSelf, parts: StageParts): StageEffects {
  const state = new StageState(self, parts);
  return {
    ...openingEffects(self, state),
    ...forwardEffects(self, state),
    ...backwardEffects(self, state),
    ...evaluationEffects(self, state),
  };
}
