import { setup } from 'xstate';
import type { FeederEvent } from './events.ts';

/** Prefetches; owns nothing that lasts, since the cursor of the data is the step number. */
export const feederMachine = setup({
  types: { events: {} as FeederEvent },
  actions: { feedStep: () => {}, feedEvaluation: () => {} },
}).createMachine({
  id: 'feeder',
  initial: 'serving',
  states: {
    serving: {
      on: {
        'batch.prefetch': { actions: 'feedStep' },
        'evaluation.prefetch': { actions: 'feedEvaluation' },
      },
    },
  },
});
