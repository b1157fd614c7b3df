import { always, ignore, of, on, type EffectsOf } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import { lengthOf } from '../gradients.ts';
import type { PassMode } from '../messages.ts';
import type { StageEvent } from './events.ts';

export interface StageContextData {
  readonly step: number;
  readonly attempt: number;
  /** Version whose weights are here completely, -1 before the first. */
  readonly version: number;
  /** Elements of version `version + 1` that have arrived. */
  readonly arrived: number;
  readonly layer: number;
  readonly microbatch: number;
  readonly mode: PassMode;
  /** Something has been opened that has not begun yet. */
  readonly opened: boolean;
  /** Version that the opened pass wants. */
  readonly wanted: number;
  /** Microbatches whose tokens are here, by step; what is sent twice is the same twice. */
  readonly batches: ReadonlyMap<number, ReadonlySet<number>>;
  readonly numElements: number;
  readonly numLayers: number;
  readonly numMicrobatches: number;
  readonly numEvaluationPasses: number;
  /** Layers whose FFN is behind a gate. */
  readonly moeLayers: ReadonlySet<number>;
  /** Balance fractions are taken over the whole batch: backward waits until the trainer has summed them. */
  readonly sharesBalance: boolean;
}

export type StageInput = Pick<
  StageContextData,
  'numElements' | 'numLayers' | 'numMicrobatches' | 'numEvaluationPasses' | 'moeLayers' | 'sharesBalance'
> & { readonly version: number };

export const stageActions = {
  ignore,
  acceptBatch: on('batch.ready'),
  acceptEvaluation: on('evaluation.ready'),
  askEvaluation: always,
  open: on('step.open'),
  begin: always,
  openPass: always,
  closePass: always,
  forwardAttention: always,
  route: always,
  forwardHead: always,
  shareBalance: always,
  acceptBalance: on('balance.shared'),
  unroute: always,
  backwardAttention: always,
  sendLayer: always,
  sendHeld: always,
  backwardEmbedding: always,
  sendEnds: always,
  measure: always,
  reportEvaluation: always,
  abandon: on('attempt.abandon'),
} as const;

/** What carries them out. */
export type StageEffects = EffectsOf<typeof stageActions, StageContextData, StageEvent>;

/**
 * Attention, norms, dense FFNs, embedding and head of one replica, layer by layer.
 *
 * STG-1: a pass begins when it is open, its weights are complete at the wanted version and its tokens are here, in
 * whatever order these come. STG-2: microbatches run one after the other, forward then backward. REC-1: any state leaves an abandoned
 * attempt, and then waits for weights as in the beginning.
 */
export const stageMachine = setup({
  types: { context: {} as StageContextData, events: {} as StageEvent, input: {} as StageInput },
  actions: stageActions,
  guards: {
    known: ({ context, event }) => event.attempt <= context.attempt,
    completesVersion: ({ context, event }) =>
      context.arrived + lengthOf(of(event, 'weights.publish').body) === context.numElements,
    canTrain: ({ context }) =>
      context.opened &&
      context.mode === 'train' &&
      context.version === context.wanted &&
      context.batches.get(context.step)?.size === context.numMicrobatches,
    canEvaluate: ({ context }) =>
      context.opened && context.mode === 'evaluate' && context.version === context.wanted,
    isMoe: ({ context }) => context.moeLayers.has(context.layer),
    lastLayer: ({ context }) => context.layer === context.numLayers - 1,
    firstLayer: ({ context }) => context.layer === 0,
    evaluating: ({ context }) => context.mode === 'evaluate',
    sharesBalance: ({ context }) => context.sharesBalance,
    moreMicrobatches: ({ context }) => context.microbatch + 1 < context.numMicrobatches,
    morePasses: ({ context }) => context.microbatch + 1 < context.numEvaluationPasses,
  },
}).createMachine({
  id: 'stage',
  context: ({ input }) => ({
    ...input,
    version: input.version - 1,
    step: 0,
    attempt: 0,
    arrived: 0,
    layer: 0,
    microbatch: 0,
    mode: 'train' as const,
    opened: false,
    wanted: 0,
    batches: new Map<number, ReadonlySet<number>>(),
  }),
  initial: 'waiting',
  on: {
    'weights.publish': [
      {
        guard: 'completesVersion',
        actions: assign({ version: ({ event }) => event.version, arrived: 0 }),
      },
      {
        actions: assign({ arrived: ({ context, event }) => context.arrived + lengthOf(event.body) }),
      },
    ],
    'batch.ready': {
      actions: [
        'acceptBatch',
        assign({
          batches: ({ context, event }) => {
            const here = context.batches.get(event.step) ?? [];
            return new Map([...context.batches, [event.step, new Set([...here, event.microbatch])]]);
          },
        }),
      ],
    },
    'attempt.abandon': [
      { guard: 'known', actions: 'ignore' },
      {
        target: '.waiting',
        actions: [
          assign({ attempt: ({ event }) => event.attempt, version: -1, arrived: 0, opened: false }),
          'abandon',
        ],
      },
    ],
  },
  states: {
    waiting: {
      on: {
        'step.open': {
          actions: [
            'open',
            assign({
              step: ({ event }) => event.step,
              attempt: ({ event }) => event.attempt,
              wanted: ({ event }) => event.version,
              mode: 'train',
              opened: true,
            }),
          ],
        },
        'evaluation.open': {
          actions: assign({
            step: ({ event }) => event.step,
            attempt: ({ event }) => event.attempt,
            wanted: ({ event }) => event.version,
            mode: 'evaluate',
            opened: true,
          }),
        },
      },
      always: [
        {
          guard: 'canTrain',
          target: 'attending',
          actions: [
            assign({
              opened: false,
              layer: 0,
              microbatch: 0,
              batches: ({ context }) =>
                new Map([...context.batches].filter(([step]) => step >= context.step)),
            }),
            'begin',
            'openPass',
          ],
        },
        {
          guard: 'canEvaluate',
          target: 'fetching',
          actions: [assign({ opened: false, microbatch: 0 }), 'begin'],
        },
      ],
    },
    /** Waits for the held-out sequences of one evaluation pass. */
    fetching: {
      entry: 'askEvaluation',
      on: {
        'evaluation.ready': {
          target: 'attending',
          actions: ['acceptEvaluation', assign({ layer: 0 })],
        },
      },
    },
    attending: {
      entry: 'forwardAttention',
      on: {
        'attention.forwarded': [
          { guard: 'isMoe', target: 'routing' },
          { guard: 'lastLayer', target: 'heading' },
          {
            target: 'attending',
            reenter: true,
            actions: assign({ layer: ({ context }) => context.layer + 1 }),
          },
        ],
      },
    },
    /** The layer's gate has the tokens; its experts may be elsewhere. */
    routing: {
      entry: 'route',
      on: {
        'forward.done': [
          { guard: 'lastLayer', target: 'heading' },
          { target: 'attending', actions: assign({ layer: ({ context }) => context.layer + 1 }) },
        ],
      },
    },
    heading: {
      entry: 'forwardHead',
      on: {
        'head.finished': [
          { guard: 'evaluating', target: 'nextPass', actions: 'closePass' },
          { guard: 'sharesBalance', target: 'sharing' },
          { target: 'backward' },
        ],
      },
    },
    sharing: {
      entry: 'shareBalance',
      on: { 'balance.shared': { target: 'backward', actions: 'acceptBalance' } },
    },
    nextPass: {
      always: [
        {
          guard: 'morePasses',
          target: 'fetching',
          actions: assign({ microbatch: ({ context }) => context.microbatch + 1 }),
        },
        { target: 'waiting', actions: 'reportEvaluation' },
      ],
    },
    backward: { always: [{ guard: 'isMoe', target: 'unrouting' }, { target: 'unattending' }] },
    /** The layer's gate has the gradients. */
    unrouting: {
      entry: 'unroute',
      on: { 'rows.left': { actions: 'sendHeld' }, 'backward.done': { target: 'unattending' } },
    },
    unattending: {
      entry: 'backwardAttention',
      on: {
        'attention.backwarded': [
          { guard: 'firstLayer', target: 'unembedding', actions: 'sendLayer' },
          {
            target: 'backward',
            actions: ['sendLayer', assign({ layer: ({ context }) => context.layer - 1 })],
          },
        ],
      },
    },
    unembedding: {
      entry: 'backwardEmbedding',
      on: {
        'embedding.backwarded': [
          {
            guard: 'moreMicrobatches',
            target: 'attending',
            actions: [
              'closePass',
              assign({ microbatch: ({ context }) => context.microbatch + 1, layer: 0 }),
              'openPass',
            ],
          },
          { target: 'waiting', actions: ['sendEnds', 'measure', 'closePass'] },
        ],
      },
    },
  },
});
