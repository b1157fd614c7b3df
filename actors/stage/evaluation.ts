import { assert } from '@troupe/core';
import { windowBatch } from '@troupe/model';
import { addresses } from '@troupe/topology/layout';
import { nextOf } from './cursor.ts';
import type { StageEffects } from './machine.ts';
import type { StageSelf } from './events.ts';
import { placeOf, type StageState } from './state.ts';

type EvaluationEffects = Pick<
  StageEffects,
  'askEvaluation' | 'acceptEvaluation' | 'reportEvaluation' | 'acceptQuestion' | 'reportLogits'
>;

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
      state.row = null;
      state.evaluated += body.targets;
    },
    acceptQuestion: ({ body, tensors }) => {
      const isAsked = worker.at.dp === 0;
      const { microbatchSequences } = layout.dealing;
      const { seqLen } = worker.job.model;
      state.sequences = windowBatch(isAsked ? tensors.ids_T : [], microbatchSequences * seqLen, seqLen);
      state.row = isAsked ? body.row : null;
    },
    reportLogits: (_event, { step, attempt, wanted }) => {
      const tensors = hasHead && state.row !== null ? { logits_V: passes.logits() } : {};
      self.tell(addresses.trainer, 'generation.logits', { step, attempt, version: wanted, tensors });
      worker.meter.take();
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
