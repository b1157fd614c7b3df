import { addWideSums } from '@troupe/core';
import { lossValue } from '@troupe/model';
import type { TrainerSelf } from './events.ts';
import type { TrainerEffects } from './machine.ts';
import type { TrainerState } from './state.ts';

type EvaluationEffects = Pick<TrainerEffects, 'evaluate' | 'recordEvaluation' | 'reportEvaluation'>;

/** The loss over held-out sequences. */
export function evaluationEffects(self: TrainerSelf, state: TrainerState): EvaluationEffects {
  const { job, company, options } = state;
  const passes = Math.max(1, job.layout.dealing.evaluationPasses(job.evaluationSequences));
  let sums = { lossSum: new BigInt64Array(2), tokens: 0 };
  return {
    evaluate: (_event, { step, attempt }) => {
      self.endWait('load');
      sums = { lossSum: new BigInt64Array(2), tokens: 0 };
      const { computing } = company.agents;
      for (const agent of computing) self.tell(agent, 'evaluation.open', { step, attempt, version: step });
      state.waitFor('evaluation', {
        awaited: computing,
        reason: 'the held-out loss',
        step,
        deadlineMs: job.deadlines.stepMs * passes,
      });
    },
    recordEvaluation: ({ from, body, tensors }) => {
      self.answered('evaluation', from);
      addWideSums(sums.lossSum, tensors.lossSum);
      sums.tokens += body.targets;
    },
    reportEvaluation: (_event, { step }) => {
      self.endWait('evaluation');
      const { tokens } = sums;
      options.report({ event: 'eval', step, loss: lossValue(sums.lossSum) / tokens, tokens });
    },
  };
}
