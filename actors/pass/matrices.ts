import type { PassSelf } from './events.ts';
import type { PassEffects } from './machine.ts';
import { messagePlace } from './place.ts';
import type { PassState } from './state.ts';

type MatricesEffects = Pick<PassEffects, 'computeMatrices' | 'holdAll' | 'finishMatrices'>;

/** Gradients of matrices, of which nothing in a pass waits: when the stage has time for them. */
export function matricesEffects(self: PassSelf, state: PassState): MatricesEffects {
  const { worker, slot, steps } = state;
  const { layout } = worker.job;
  return {
    computeMatrices: (_event, context) => {
      const { deferred } = state.passOf(context);
      for (const layer of context.expertLayers)
        self.tell(layout.expertOf(layer, worker.rank), 'experts.finish', messagePlace({ ...context, layer }));
      const calls = [
        ...(deferred?.take() ?? []),
        ...state.parameters.complete(state.finishedByMatrices, context),
      ];
      steps.run([{ calls }], 'matrices.computed', context);
    },
    holdAll: () => void state.held.push(...state.finishedByMatrices),
    finishMatrices: (_event, context) =>
      self.tell(state.stage, 'matrices.done', { ...messagePlace(context), body: { chunk: slot.chunk } }),
  };
}
