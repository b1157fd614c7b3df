import { addWideSums } from '@troupe/core';
import type { AgentSelf } from './events.ts';
import type { AgentEffects } from './machine.ts';
import type { AgentState } from './state.ts';

type EvaluatingEffects = Pick<
  AgentEffects,
  | 'openEvaluation'
  | 'recordEvaluation'
  | 'reportEvaluation'
  | 'openQuestion'
  | 'recordLogits'
  | 'reportAnswer'
>;

/** Forward passes alone: over held-out sequences, or texts that a program asks about. */
export function evaluatingEffects(self: AgentSelf, state: AgentState): EvaluatingEffects {
  const { job, stages, trainer } = state;
  const { stepMs } = job.deadlines;
  const passes = Math.max(1, job.layout.dealing.evaluationPasses(job.evaluationSequences));
  let sums = { lossSum: new BigInt64Array(2), targets: 0 };
  let logits: { logits_NV?: Float32Array | Float64Array } = {};
  return {
    openEvaluation: ({ step, attempt, version }) => {
      sums = { lossSum: new BigInt64Array(2), targets: 0 };
      for (const stage of stages) self.tell(stage, 'evaluation.open', { step, attempt, version });
      const deadlineMs = stepMs * passes;
      state.waitFor('evaluation', { awaited: stages, reason: 'the held-out loss', step, deadlineMs });
    },
    recordEvaluation: ({ from, body, tensors }) => {
      self.answered('evaluation', from);
      const share = state.shareOf(from);
      if (share === undefined || !share.counts || !share.hasLoss) return;
      addWideSums(sums.lossSum, tensors.lossSum);
      sums.targets += body.targets;
    },
    reportEvaluation: (_event, { step, attempt }) => {
      self.endWait('evaluation');
      const { lossSum, targets } = sums;
      self.tell(trainer, 'machine.evaluated', { step, attempt, tensors: { lossSum }, body: { targets } });
    },
    openQuestion: ({ step, attempt, version, tensors }) => {
      logits = {};
      for (const stage of stages) self.tell(stage, 'generation.open', { step, attempt, version, tensors });
      const reason = 'the logits of a question';
      state.waitFor('generation', { awaited: stages, reason, step, deadlineMs: stepMs });
    },
    recordLogits: ({ from, tensors }) => {
      self.answered('generation', from);
      if (tensors.logits_NV !== undefined) logits = { logits_NV: tensors.logits_NV };
    },
    reportAnswer: (_event, { step, attempt }) => {
      self.endWait('generation');
      self.tell(trainer, 'machine.answered', { step, attempt, tensors: logits });
    },
  };
}
