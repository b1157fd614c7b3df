import type { Mount } from '@troupe/runtime';
import { jobShape } from '../job.ts';
import { trainerEffects, type TrainerOptions } from './effects.ts';
import { trainerMachine, type TrainerInput } from './machine.ts';

export type { RunOutcome, TrainerOptions } from './effects.ts';

/** The one trainer of a job. */
export function mountTrainer(options: TrainerOptions): Mount {
  const { job } = options;
  const { evaluationPasses } = jobShape(job);
  return (self) => {
    const { effects, finite } = trainerEffects(self, options);
    const input: TrainerInput = {
      step: job.first.step,
      numShards: job.dp * (job.model.moe === null ? 1 : 2),
      numReplicas: job.dp,
      stopAfter: job.stopAfter,
      finite,
      evaluationDue: (step) =>
        evaluationPasses > 0 &&
        ((job.evaluateEvery > 0 && step % job.evaluateEvery === 0) || step === job.steps),
      checkpoints: job.checkpointEvery >= 0,
      checkpointDue: (step) => job.checkpointEvery > 0 && step % job.checkpointEvery === 0,
    };
    return { machine: trainerMachine, input, effects };
  };
}
