import { assert } from '@troupe/core';
import type { ExpertSelf } from './events.ts';
import type { ExpertContext, ExpertEffects } from './machine.ts';
import type { ExpertState } from './state.ts';

type MatricesEffects = Pick<ExpertEffects, 'acceptAsker' | 'computeMatrices' | 'finish'>;

/** Gradients of matrices that wait until the pass beside asks. */
export function matricesEffects(
  self: ExpertSelf,
  state: ExpertState,
  /** A pass has left all its gradients. */
  end: (context: ExpertContext) => void,
): MatricesEffects {
  return {
    acceptAsker: (event) => {
      state.passOf(event).asker = event.from;
    },
    computeMatrices: (_event, context) => state.finish(context),
    finish: (_event, context) => {
      const { asker } = state.passOf(context);
      assert(asker, 'gradients of matrices that wait are asked for', { step: context.step });
      end(context);
      self.tell(asker, 'experts.finished', state.place(context));
    },
  };
}
