import { on, type EffectsOf } from '@troupe/runtime';
import { setup } from 'xstate';
import type { FeederEvent } from './events.ts';

export const feederActions = {
  feedStep: on('batch.prefetch'),
  feedEvaluation: on('evaluation.prefetch'),
  passStep: on('step.loaded'),
  passEvaluation: on('evaluation.loaded'),
  failSource: on('source.failed'),
} as const;

/** What carries them out. */
export type FeederEffects = EffectsOf<typeof feederActions, never, FeederEvent>;

/** Prefetches; owns nothing that lasts, since the cursor of the data is the step number. */
export const feederMachine = setup({
  types: { events: {} as FeederEvent },
  actions: feederActions,
}).createMachine({
  id: 'feeder',
  initial: 'serving',
  states: {
    serving: {
      on: {
        'batch.prefetch': { actions: 'feedStep' },
        'evaluation.prefetch': { actions: 'feedEvaluation' },
        // Of a source that has to be waited for.
        'step.loaded': { actions: 'passStep' },
        'evaluation.loaded': { actions: 'passEvaluation' },
        'source.failed': { actions: 'failSource' },
      },
    },
  },
});
