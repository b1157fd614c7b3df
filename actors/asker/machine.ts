import { on } from '@troupe/runtime';
import { setup } from 'xstate';
import type { AskerEvent } from './events.ts';

export const askerActions = {
  ask: on('question.put'),
  answer: on('experts.answered'),
  fail: on('ask.failed'),
  failAll: on('service.lost'),
} as const;

/** Puts the questions of a program to a service and brings the answers back; any number may be open. */
export const askerMachine = setup({
  types: { events: {} as AskerEvent },
  actions: askerActions,
}).createMachine({
  id: 'asker',
  initial: 'asking',
  states: {
    asking: {
      on: {
        'question.put': { actions: 'ask' },
        'experts.answered': { actions: 'answer' },
        'ask.failed': { actions: 'fail' },
        'service.lost': { actions: 'failAll' },
      },
    },
  },
});
