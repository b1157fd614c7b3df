import { always, of, on, type EffectsOf } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import { lengthOf } from '../gradients.ts';
import type { ExpertEvent } from './events.ts';

export interface ExpertContext {
  /** Version whose weights are here completely. */
  readonly version: number;
  /** Elements of the next version that have arrived. */
  readonly arrived: number;
  readonly numElements: number;
  /** Gates that send rows: the ranks of the expert-parallel group. */
  readonly numSources: number;
  readonly rows: number;
  readonly gradients: number;
  /** The pass that the gathered rows belong to. */
  readonly step: number;
  readonly attempt: number;
  readonly wanted: number;
  readonly microbatch: number;
}

export type ExpertInput = Pick<ExpertContext, 'numElements' | 'numSources'> & { readonly version: number };

export const expertActions = {
  acceptRows: on('rows.dispatch'),
  forward: always,
  returnRows: always,
  acceptGradients: on('gradients.dispatch'),
  backward: always,
  returnGradients: always,
  abandon: on('attempt.abandon'),
} as const;

/** What carries them out. */
export type ExpertEffects = EffectsOf<typeof expertActions, ExpertContext, ExpertEvent>;

/**
 * A group of experts of one layer, run as one grouped FFN.
 *
 * EXP-1: a pass runs once the rows of every source are here and the weights are those of its version, in whatever order they
 * came; sources are computed in rank order. EXP-2: every leaf of the gradient is added exactly once, in the kernel of the backward pass.
 * REC-1: any state leaves an abandoned attempt, and then waits for weights as in the beginning.
 */
export const expertMachine = setup({
  types: { context: {} as ExpertContext, events: {} as ExpertEvent, input: {} as ExpertInput },
  actions: expertActions,
  guards: {
    completesVersion: ({ context, event }) =>
      context.arrived + lengthOf(of(event, 'weights.publish').body) === context.numElements,
    canForward: ({ context }) => context.rows === context.numSources && context.wanted === context.version,
    canBackward: ({ context }) => context.gradients === context.numSources,
  },
}).createMachine({
  id: 'expert',
  context: ({ input }) => ({
    ...input,
    version: input.version - 1,
    arrived: 0,
    rows: 0,
    gradients: 0,
    step: 0,
    attempt: 0,
    wanted: 0,
    microbatch: 0,
  }),
  initial: 'loading',
  on: {
    'weights.publish': [
      {
        guard: 'completesVersion',
        target: '.serving',
        actions: assign({ version: ({ event }) => event.version, arrived: 0 }),
      },
      {
        actions: assign({ arrived: ({ context, event }) => context.arrived + lengthOf(event.body) }),
      },
    ],
    'rows.dispatch': {
      actions: [
        'acceptRows',
        assign({
          rows: ({ context }) => context.rows + 1,
          step: ({ event }) => event.step,
          attempt: ({ event }) => event.attempt,
          wanted: ({ event }) => event.version,
          microbatch: ({ event }) => event.microbatch,
        }),
      ],
    },
    'attempt.abandon': {
      target: '.loading',
      actions: [assign({ version: -1, arrived: 0, rows: 0, gradients: 0 }), 'abandon'],
    },
  },
  states: {
    /** Weights are on their way; rows of a faster rank wait here. */
    loading: {},
    serving: {
      initial: 'gathering',
      states: {
        gathering: {
          on: {
            'gradients.dispatch': {
              actions: ['acceptGradients', assign({ gradients: ({ context }) => context.gradients + 1 })],
            },
          },
          always: [
            { guard: 'canForward', target: 'forwarding' },
            { guard: 'canBackward', target: 'backwarding' },
          ],
        },
        forwarding: {
          entry: [assign({ rows: 0 }), 'forward'],
          on: { 'experts.forwarded': { target: 'gathering', actions: 'returnRows' } },
        },
        backwarding: {
          entry: [assign({ gradients: 0 }), 'backward'],
          on: { 'experts.backwarded': { target: 'gathering', actions: 'returnGradients' } },
        },
      },
    },
  },
});
