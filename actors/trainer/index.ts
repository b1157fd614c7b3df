import type { Mount } from '@troupe/runtime';
import { addresses } from '../addresses.ts';
import { jobShape, parameterClasses } from '../job.ts';
import { trainerEffects } from './effects.ts';
import { fencedByTrainer, trainerMachine, type TrainerContext, type TrainerInput } from './machine.ts';
import type { TrainerOptions } from './options.ts';
import { planRecovery } from './recovery-plan.ts';

export type { RunOutcome, TrainerOptions } from './options.ts';

/** The one trainer of a job. */
export function mountTrainer(options: TrainerOptions): Mount {
  const { job } = options;
  const { evaluationPasses } = jobShape(job);
  const replicas = Array.from({ length: job.dp }, (_, dp) => dp);
  return (self) => {
    const { effects, finite } = trainerEffects(self, options);
    const input: TrainerInput = {
      step: job.first.step,
      shards: replicas.flatMap((dp) =>
        parameterClasses(job).map((each) => ({ address: addresses.optimizer(each, dp), dp })),
      ),
      stages: replicas.map((dp) => ({ address: addresses.stage(dp), dp })),
      store: addresses.store(0),
      restartsFromBeginning: job.restartsFromBeginning,
      rebuildable: (held, step) => planRecovery(job, held, step) !== null,
      stopAfter: job.stopAfter,
      finite,
      evaluationDue: (step) =>
        evaluationPasses > 0 &&
        ((job.evaluateEvery > 0 && step % job.evaluateEvery === 0) || step === job.steps),
      checkpoints: job.checkpointEvery >= 0,
      checkpointDue: (step) => job.checkpointEvery > 0 && step % job.checkpointEvery === 0,
    };
    return {
      machine: trainerMachine,
      input,
      effects,
      epoch: ({ attempt }: TrainerContext) => ({ step: 0, attempt }),
      fenced: new Set(fencedByTrainer),
    };
  };
}
