import { setup } from 'xstate';
import type { FeederEvent } from './events.ts';

/** Prefetches; owns nothing that lasts, since the cursor of the data is the step number. */
export const feederMachine = setup({
  types: { events: {} as FeederEvent },
  actions: {
    feedStep: () => {},
    feedEvaluation: () => {},
    passStep: () => {},
    passEvaluation: () => {},
    failSource: () => {},
  },
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
