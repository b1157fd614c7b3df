import type { TrainerSelf } from './events.ts';
import type { TrainerEffects } from './machine.ts';
import type { TrainerState } from './state.ts';

type GenerationEffects = Pick<TrainerEffects, 'serve' | 'ask' | 'recordLogits' | 'answerQuestion'>;

/** Logits behind the texts that a program asks about, one question at a time. */
export function generationEffects(self: TrainerSelf, state: TrainerState): GenerationEffects {
  const { job, company, options } = state;
  let logits_NV = new Float32Array(0);
  return {
    serve: () => {
      self.endWait('load');
      options.ready?.();
    },
    ask: ({ tensors }, { step, attempt }) => {
      logits_NV = new Float32Array(tensors.lengths_N.length * job.model.vocab);
      const { computing } = company.agents;
      for (const agent of computing)
        self.tell(agent, 'generation.open', { step, attempt, version: step, tensors });
      state.waitFor('generation', {
        awaited: computing,
        reason: 'the logits of a question',
        step,
        deadlineMs: job.deadlines.stepMs,
      });
    },
    recordLogits: ({ from, tensors }) => {
      if (tensors.logits_NV !== undefined) logits_NV.set(tensors.logits_NV);
      self.answered('generation', from);
    },
    answerQuestion: () => {
      self.endWait('generation');
      options.answered?.(logits_NV);
    },
  };
}
