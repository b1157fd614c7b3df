import { assert } from '@troupe/core';
import { addresses } from '@troupe/topology/layout';
import { nextOf } from './cursor.ts';
import type { StageEffects } from './machine.ts';
import type { StageSelf } from './events.ts';
import { placeOf, type StageState } from './state.ts';

type EvaluationEffects = Pick<StageEffects, 'askEvaluation' | 'acceptEvaluation' | 'reportEvaluation'>;

/** Forward passes over held-out sequences, asked for one by one. */
export function evaluationEffects(self: StageSelf, state: StageState): EvaluationEffects {
  const { worker, passes } = state;
  const { layout } = worker.job;
  const { hasHead } = layout.stagePlan(worker.at.pp);
  return {
    askEvaluation: (_event, context) => {
      const next = nextOf(context);
      assert(next, 'an evaluation pass is left', { next: context.next });
      self.tell(layout.feederOf(worker.rank), 'evaluation.prefetch', placeOf(context, next));
    },
    acceptEvaluation: ({ body, tensors }) => {
      state.sequences = tensors;
      state.evaluated += body.targets;
    },
    reportEvaluation: (_event, { step, attempt, wanted }) => {
      const { lossSum } = passes.statistics('evaluate').totals();
      // Where the loss is, its targets are counted.
      const body = { targets: hasHead ? state.evaluated : 0 };
      self.tell(addresses.trainer, 'stage.evaluated', {
        step,
        attempt,
        version: wanted,
        tensors: { lossSum },
        body,
      });
      worker.meter.take();
    },
  };
}
