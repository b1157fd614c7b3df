import { stepFolder } from '@troupe/checkpoint';
import type { TrainerContext } from './context.ts';

/** Why a run that only skips is given up, and what is left of it. */
export function divergence({ step, skipped, proven, maxSkipped }: TrainerContext) {
  const kept =
    proven > 0
      ? `the last checkpoint from before is ${stepFolder(proven)}`
      : 'there is no checkpoint from before';
  return {
    code: 'TROUPE_RUN_DIVERGED',
    message: `the run has diverged: steps ${step - skipped + 1} to ${step} were skipped one after the other, since their gradients were not finite (train.maxSkipped ${maxSkipped}); ${kept}; a lower train.optimizer.lr or a longer warm-up may hold it`,
    retryable: false,
  };
}
