import { mountOf, type Mount } from '@troupe/runtime';
import { stageEffects } from './effects.ts';
import { fencedByStage, type StageSelf } from './events.ts';
import { stageMachine, type StageInput } from './machine.ts';
import type { StageParts } from './state.ts';

/** The stage of a worker; its passes and gates look up in `parts.passes` what they compute on. */
export function mountStage(parts: StageParts): Mount {
  const { worker, parameters, passes } = parts;
  const { job } = worker;
  const { dealing } = job.layout;
  const balance = job.model.moe?.balance;
  return mountOf((self: StageSelf) => {
    const input: StageInput = {
      version: job.first.step,
      numElements: parameters.numElements,
      numMicrobatches: dealing.microbatches,
      training: passes.slots.program,
      evaluation: passes.slots.evaluation(dealing.evaluationPasses(job.evaluationSequences)),
      chunks: passes.slots.chunks,
      width: job.layout.pipeline.width,
      sharesBalance: balance !== undefined && balance.scope === 'global' && balance.auxLoss !== 0,
    };
    return {
      machine: stageMachine,
      input,
      effects: stageEffects(self, parts),
      ...worker.fence(fencedByStage),
    };
  });
}
