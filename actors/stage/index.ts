import { mountOf, type Mount } from '@troupe/runtime';
import type { Replica } from '../replica.ts';
import { stageEffects } from './effects.ts';
import { fencedByStage, type StageSelf } from './events.ts';
import { stageMachine, type StageInput } from './machine.ts';

export function mountStage(replica: Replica): Mount {
  const { job, layers } = replica;
  const { dealing } = job.layout;
  const balance = job.model.moe?.balance;
  return mountOf((self: StageSelf) => {
    const input: StageInput = {
      version: job.first.step,
      numElements: replica.dense.layout.length,
      numLayers: job.model.layers,
      numMicrobatches: dealing.microbatches,
      numEvaluationPasses: dealing.evaluationPasses(job.evaluationSequences),
      moeLayers: new Set(layers),
      sharesBalance: balance !== undefined && balance.scope === 'global' && balance.auxLoss !== 0,
    };
    return {
      machine: stageMachine,
      input,
      effects: stageEffects(self, replica),
      ...replica.fence(fencedByStage),
    };
  });
}
