import { mountOf, type Mount } from '@troupe/runtime';
import { addresses } from '../addresses.ts';
import { jobShape, layoutOf, parameterClasses } from '../job.ts';
import type { TrainerContext, TrainerInput } from './context.ts';
import { trainerEffects } from './effects.ts';
import { fencedByTrainer, type TrainerSelf } from './events.ts';
import { trainerMachine } from './machine.ts';
import type { TrainerOptions } from './options.ts';
import { scheduleOf } from './schedule.ts';

export type { RunOutcome, TrainerOptions } from './options.ts';

/** The one trainer of a job. */
export function mountTrainer(options: TrainerOptions): Mount {
  const { job } = options;
  const { evaluationPasses } = jobShape(job);
  const replicas = Array.from({ length: job.dp }, (_, dp) => dp);
  return mountOf((self: TrainerSelf) => {
    const input: TrainerInput = {
      step: job.first.step,
      shards: replicas.flatMap((dp) =>
        parameterClasses(job).map((each) => ({ address: addresses.optimizer(each, dp), dp })),
      ),
      stages: replicas.map((dp) => ({ address: addresses.stage(dp), dp })),
      store: addresses.store(0),
      restartsFromBeginning: job.restartsFromBeginning,
      layout: layoutOf(job),
      stopAfter: job.stopAfter,
      maxSkipped: job.maxSkipped,
      schedule: scheduleOf(job, evaluationPasses),
    };
    return {
      machine: trainerMachine,
      input,
      effects: trainerEffects(self, options),
      epoch: ({ attempt }: TrainerContext) => ({ step: 0, attempt }),
      fenced: fencedByTrainer,
    };
  });
}
