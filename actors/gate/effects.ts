import { backwardEffects } from './backward.ts';
import type { GateSelf } from './events.ts';
import { forwardEffects } from './forward.ts';
import type { GateEffects } from './machine.ts';
import { GateState, type GateParts } from './state.ts';

export function gateEffects(self: GateSelf, parts: GateParts): GateEffects {
  const state = new GateState(self, parts);
  return {
    ...forwardEffects(self, state),
    ...backwardEffects(self, state),
    abandon: () => self.endWait('experts'),
  };
}
