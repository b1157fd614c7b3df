import { addresses } from '@troupe/topology/layout';
import type { StageEffects } from './machine.ts';
import type { StageSelf } from './events.ts';
import { messagePlace, placeOf, type StageState } from './state.ts';

type EvaluationEffects = Pick<StageEffects, 'askEvaluation' | 'acceptEvaluation' | 'reportEvaluation'>;

/** Forward passes over held-out sequences, asked for one by one. */
export function evaluationEffects(self: StageSelf, state: StageState): EvaluationEffects {
  const { worker, passes } = state;
  const { layout } = worker.job;
  return {
    askEvaluation: (_event, context) => {
      self.tell(layout.feederOf(worker.rank), 'evaluation.prefetch', messagePlace(context));
    },
    acceptEvaluation: ({ body, tensors }, context) => {
      passes.open(placeOf(context), tensors, null);
      state.evaluated += body.targets;
    },
    reportEvaluation: (_event, context) => {
      const { lossSum } = passes.statistics('evaluate').totals();
      const body = { targets: state.evaluated };
      self.tell(addresses.trainer, 'stage.evaluated', {
        ...messagePlace(context),
        tensors: { lossSum },
        body,
      });
      worker.meter.take();
    },
  };
}
