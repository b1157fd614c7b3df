import { always, ignore, of, on, type EffectsOf } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import type { ServiceEvent } from './events.ts';
import { questionOf, type QuestionSizes } from './question.ts';

export interface ServiceContext {
  /** Questions that wait for the one that is computed. */
  readonly waiting: number;
  /** Most of them; one more is refused. */
  readonly capacity: number;
  /** What a question has to fit. */
  readonly sizes: QuestionSizes;
}

export type ServiceInput = Pick<ServiceContext, 'capacity' | 'sizes'>;

export const serviceActions = {
  ignore,
  keep: on('experts.ask'),
  keepAndDispatch: on('experts.ask'),
  reply: always,
  replyAndDispatch: always,
  refuseBusy: on('experts.ask'),
  refuseWrong: on('experts.ask'),
} as const;

/** What carries them out. */
export type ServiceEffects = EffectsOf<typeof serviceActions, ServiceContext, ServiceEvent>;

/**
 * The gate of a service of one expert group: rows of anybody to the expert beside it, outputs back.
 *
 * SVC-1: questions are computed one after the other, in the order in which they came, each alone: the answer to one does not depend on others.
 * SVC-2: at most `capacity` wait. SVC-3: what is no question is refused before it is kept.
 */
export const serviceMachine = setup({
  types: { context: {} as ServiceContext, events: {} as ServiceEvent, input: {} as ServiceInput },
  actions: serviceActions,
  guards: {
    isNone: ({ context, event }) =>
      questionOf(of(event, 'experts.ask').tensors, context.sizes) instanceof Error,
    isFull: ({ context }) => context.waiting >= context.capacity,
    moreWaits: ({ context }) => context.waiting > 0,
  },
}).createMachine({
  id: 'service',
  context: ({ input }) => ({ ...input, waiting: 0 }),
  initial: 'idle',
  // An asker that is gone does not take its answer.
  on: { 'message.refused': { actions: 'ignore' } },
  states: {
    idle: {
      on: {
        'experts.ask': [
          { guard: 'isNone', actions: 'refuseWrong' },
          { target: 'computing', actions: 'keepAndDispatch' },
        ],
      },
    },
    computing: {
      on: {
        'experts.ask': [
          { guard: 'isNone', actions: 'refuseWrong' },
          { guard: 'isFull', actions: 'refuseBusy' },
          { actions: ['keep', assign({ waiting: ({ context }) => context.waiting + 1 })] },
        ],
        'rows.return': [
          {
            guard: 'moreWaits',
            actions: [assign({ waiting: ({ context }) => context.waiting - 1 }), 'replyAndDispatch'],
          },
          { target: 'idle', actions: 'reply' },
        ],
      },
    },
  },
});
