import type { TrainerSelf } from './events.ts';
import type { TrainerEffects } from './machine.ts';
import type { TrainerState } from './state.ts';

type GenerationEffects = Pick<TrainerEffects, 'serve' | 'ask' | 'recordLogits' | 'answerQuestion'>;

/** Logits of the tokens that a program asks about, one question at a time. */
export function generationEffects(self: TrainerSelf, state: TrainerState): GenerationEffects {
  const { job, company, options } = state;
  let logits_V = new Float32Array(0);
  return {
    serve: () => {
      self.endWait('load');
      options.ready?.();
    },
    ask: ({ body, tensors }, { step, attempt }) => {
      logits_V = new Float32Array(job.model.vocab);
      for (const stage of company.stages)
        self.tell(stage, 'generation.open', { step, attempt, version: step, body, tensors });
      state.waitFor('generation', {
        awaited: company.stages,
        reason: 'the logits of a question',
        step,
        deadlineMs: job.deadlines.stepMs,
      });
    },
    // Each word comes from one tensor peer; the others say 0.
    recordLogits: ({ from, tensors }) => {
      tensors.logits_V?.forEach((logit, word) => (logits_V[word] = (logits_V[word] ?? 0) + logit));
      self.answered('generation', from);
    },
    answerQuestion: () => {
      self.endWait('generation');
      options.answered?.(logits_V);
    },
  };
}
