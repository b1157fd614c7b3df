import { backwardEffects, type ExpertGradients } from './backward.ts';
import type { ExpertSelf } from './events.ts';
import { forwardEffects } from './forward.ts';
import type { ExpertHost } from './host.ts';
import type { ExpertEffects } from './machine.ts';
import { ExpertState } from './state.ts';

/** The grouped FFN of one layer's experts here, over the rows of all sources. */
export function expertEffects(
  self: ExpertSelf,
  host: ExpertHost,
  layer: number,
  passGradients: (range: ExpertGradients) => void,
): ExpertEffects {
  const state = new ExpertState(self, host, layer);
  return {
    ...forwardEffects(self, state),
    ...backwardEffects(self, state, passGradients),
    abandon: ({ attempt }) => {
      host.abandon(self, attempt);
      state.abandon();
    },
  };
}
