import { backwardEffects } from './backward.ts';
import { Choosing } from './choosing.ts';
import type { GateEvent, GateSelf } from './events.ts';
import { forwardEffects } from './forward.ts';
import type { GateEffects } from './machine.ts';
import { GateState, type GateParts } from './state.ts';

export function gateEffects(self: GateSelf, parts: GateParts): GateEffects {
  const state = new GateState(self, parts);
  const choosing = new Choosing(self, state);
  const aside: GateEvent[] = [];
  return {
    ...forwardEffects(self, state),
    ...backwardEffects(self, state),
    ...choosing.effects,
    setAside: (event) => {
      aside.push(event);
    },
    takeUp: () => {
      const next = aside.shift();
      if (next !== undefined) self.takeUp(next);
    },
    abandon: ({ attempt }) => {
      choosing.abandon(attempt);
      aside.length = 0;
      state.forgetWidened();
      self.endWait('experts');
    },
  };
}
