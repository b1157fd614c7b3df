import { evaluationEffects } from './evaluation.ts';
import type { StageSelf } from './events.ts';
import type { StageEffects } from './machine.ts';
import { openingEffects } from './opening.ts';
import { operatingEffects } from './operating.ts';
import { StageState, type StageParts } from './state.ts';

export function stageEffects(self: StageSelf, parts: StageParts): StageEffects {
  const state = new StageState(parts);
  return {
    ...openingEffects(self, state),
    ...operatingEffects(self, state),
    ...evaluationEffects(self, state),
  };
}
