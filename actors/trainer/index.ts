import { mountOf, type Mount } from '@troupe/runtime';
import { addresses } from '@troupe/topology/layout';
import { Company } from './company.ts';
import type { TrainerContext, TrainerInput } from './context.ts';
import { trainerEffects } from './effects.ts';
import { fencedByTrainer, type TrainerSelf } from './events.ts';
import { trainerMachine } from './machine.ts';
import type { TrainerOptions } from './options.ts';
import { scheduleOf } from './schedule.ts';

export type { ExpertChoices, RunOutcome, TrainerOptions } from './options.ts';

/** The one trainer of a job. */
export function mountTrainer(options: TrainerOptions): Mount {
  const { job } = options;
  const { layout } = job;
  const company = new Company(layout);
  return mountOf((self: TrainerSelf) => {
    const input: TrainerInput = {
      step: job.first.step,
      agents: company.agents,
      store: addresses.store(0),
      restartsFromBeginning: job.restartsFromBeginning,
      serves: job.purpose === 'generate',
      layout,
      stopAfter: job.stopAfter,
      maxSkipped: job.maxSkipped,
      records: options.record !== undefined,
      takesOver: options.takesOver !== undefined,
      schedule: scheduleOf(job),
    };
    return {
      machine: trainerMachine,
      input,
      effects: trainerEffects(self, options, company),
      epoch: ({ attempt }: TrainerContext) => ({ step: 0, attempt }),
      fenced: fencedByTrainer,
    };
  });
}
