import { mountOf, type Mount } from '@troupe/runtime';
import { stageEffects } from './effects.ts';
import { fencedByStage, type StageSelf } from './events.ts';
import { stageMachine, type StageInput } from './machine.ts';
import type { StageParts } from './state.ts';

/** The stage of a worker; its gates look its passes up in `parts.passes`. */
export function mountStage(parts: StageParts): Mount {
  const { worker, dense } = parts;
  const { job } = worker;
  const { dealing } = job.layout;
  const balance = job.model.moe?.balance;
  return mountOf((self: StageSelf) => {
    const input: StageInput = {
      version: job.first.step,
      numElements: dense.group.flat.length,
      numLayers: job.model.layers,
      numMicrobatches: dealing.microbatches,
      numEvaluationPasses: dealing.evaluationPasses(job.evaluationSequences),
      moeLayers: new Set(worker.layers),
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
