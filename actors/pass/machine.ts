import { always, on, type EffectsOf } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import type { PassEvent } from './events.ts';

export interface PassContext {
  readonly step: number;
  readonly attempt: number;
  /** Version of the weights that it computes with. */
  readonly version: number;
  readonly microbatch: number;
  readonly layer: number;
  /** The step has no further microbatch: gradients are complete behind this pass. */
  readonly last: boolean;
  /** First and last layer of the chunk. */
  readonly firstLayer: number;
  readonly lastLayer: number;
  /** Layers whose FFN is behind a gate. */
  readonly moeLayers: ReadonlySet<number>;
  readonly hasEmbedding: boolean;
  readonly hasHead: boolean;
  /** Forward alone, over held-out sequences. */
  readonly evaluates: boolean;
  /** Weights or room for gradients may have to be waited for, segment by segment. */
  readonly waits: boolean;
  /** What is computed once they are here. */
  readonly toward: Computing;
  /** A layer's forward pass runs once more before its backward pass. */
  readonly recomputes: boolean;
  /** Gradients of matrices wait for an operation of their own. */
  readonly defersMatrices: boolean;
  /** Layers of the chunk whose experts live beside the pass. */
  readonly expertLayers: readonly number[];
  /** Answers that are due before they are all computed: of the device, and of the experts here. */
  readonly due: number;
  /** Matrices are divided along the tensor axis: rows are joined once a gate has combined its own. */
  readonly isDivided: boolean;
}

/** States that compute with segments. */
const computing = ['attending', 'judging', 'heading', 'backward', 'unembedding'] as const;
export type Computing = (typeof computing)[number];

export type PassInput = Pick<
  PassContext,
  | 'firstLayer'
  | 'lastLayer'
  | 'moeLayers'
  | 'hasEmbedding'
  | 'hasHead'
  | 'evaluates'
  | 'waits'
  | 'isDivided'
  | 'recomputes'
  | 'defersMatrices'
  | 'expertLayers'
>;

export const passActions = {
  forwardAttention: always,
  route: always,
  joinRows: always,
  shareSums: always,
  acceptShare: on('peer.share'),
  evaluateHead: always,
  sendHidden: always,
  finishForward: always,
  backwardHead: always,
  computeAgain: always,
  unroute: always,
  sendHeld: always,
  backwardAttention: always,
  holdLayer: always,
  backwardEmbedding: always,
  holdEmbedding: always,
  sendGradient: always,
  finishBackward: always,
  want: always,
  takeSegment: on('segment.ready'),
  computeMatrices: always,
  holdAll: always,
  finishMatrices: always,
  abandon: on('attempt.abandon'),
} as const;

/** What carries them out. */
export type PassEffects = EffectsOf<typeof passActions, PassContext, PassEvent>;

/** Transitions to what is computed next. */
const goOn = computing.map((toward) => ({
  guard: { type: 'isNext' as const, params: { toward } },
  target: `#pass.${toward}` as const,
}));

const placeOf = ({ step, attempt, version, microbatch }: PassEvent) => ({
  step,
  attempt,
  version,
  microbatch,
});

const answered = [
  {
    guard: 'lastDue' as const,
    target: 'idle' as const,
    actions: ['holdAll' as const, 'sendHeld' as const, 'finishMatrices' as const],
  },
  {
    actions: assign<PassContext, PassEvent, undefined, PassEvent, never>({
      due: ({ context }) => context.due - 1,
    }),
  },
];

/**
 * One slot of a stage: a microbatch through one chunk of layers, forward and, later, backward.
 *
 * PAS-4: the head runs at the beginning of the backward half, so that nothing of it has to be kept, and of an evaluation at the end. PAS-5: where
 * gradients of matrices wait, all gradients of the step leave behind the last of them, and the slot is not free before the experts here have
 * theirs too. REC-1: any state leaves an abandoned attempt.
 */
export const passMachine = setup({
  types: { context: {} as PassContext, events: {} as PassEvent, input: {} as PassInput },
  actions: passActions,
  guards: {
    isMoe: ({ context }) => context.moeLayers.has(context.layer),
    lastLayer: ({ context }) => context.layer === context.lastLayer,
    // Nothing that is more urgent follows: gradients that were held for rows that never leave would pile up.
    nextSendsNoRows: ({ context }) => !context.moeLayers.has(context.layer - 1),
    firstLayer: ({ context }) => context.layer === context.firstLayer,
    hasHead: ({ context }) => context.hasHead,
    evaluatesHead: ({ context }) => context.hasHead && context.evaluates,
    hasEmbedding: ({ context }) => context.hasEmbedding,
    waits: ({ context }) => context.waits,
    isNext: ({ context }, { toward }: { readonly toward: Computing }) => context.toward === toward,
    isDivided: ({ context }) => context.isDivided,
    isMoeAgain: ({ context }) => context.recomputes && context.moeLayers.has(context.layer),
    defersMatrices: ({ context }) => context.defersMatrices,
    lastDue: ({ context }) => context.due === 1,
  },
}).createMachine({
  id: 'pass',
  context: ({ input }) => ({
    ...input,
    step: 0,
    attempt: 0,
    version: 0,
    microbatch: 0,
    layer: input.firstLayer,
    last: false,
    toward: 'attending' as const,
    due: 0,
  }),
  initial: 'idle',
  on: {
    'attempt.abandon': { target: '.idle', actions: 'abandon' },
    'share.made': { actions: 'shareSums' },
    'peer.share': { actions: 'acceptShare' },
  },
  states: {
    /** Free, or between the two halves of a pass. */
    idle: {
      on: {
        'pass.forward': {
          target: 'wanting',
          actions: assign(({ context, event }) => ({
            ...placeOf(event),
            layer: context.firstLayer,
            toward: 'attending' as const,
          })),
        },
        'matrices.run': [
          {
            guard: 'defersMatrices',
            target: 'finishing',
            actions: assign(({ context, event }) => ({
              ...placeOf(event),
              last: event.body.last,
              due: 1 + context.expertLayers.length,
            })),
          },
          // They were part of the backward half.
          { actions: [assign(({ event }) => placeOf(event)), 'finishMatrices'] },
        ],
        'pass.backward': [
          {
            guard: 'hasHead',
            target: 'wanting',
            actions: assign(({ context, event }) => ({
              ...placeOf(event),
              layer: context.lastLayer,
              last: event.body.last,
              toward: 'heading' as const,
            })),
          },
          {
            target: 'wanting',
            actions: assign(({ context, event }) => ({
              ...placeOf(event),
              layer: context.lastLayer,
              last: event.body.last,
              toward: 'backward' as const,
            })),
          },
        ],
      },
    },
    /** Gradients of matrices that have waited since the backward half. */
    finishing: {
      entry: 'computeMatrices',
      on: {
        'matrices.computed': answered,
        'experts.finished': answered,
      },
    },
    /** Weights of what comes next are gathered, or its gradients find no room yet; mostly both are here. */
    wanting: {
      initial: 'looking',
      states: {
        looking: {
          always: [{ guard: 'waits', target: 'waiting' }, ...goOn],
        },
        waiting: {
          entry: 'want',
          on: { 'segment.ready': { actions: 'takeSegment' }, 'segments.here': goOn },
        },
      },
    },
    attending: {
      entry: 'forwardAttention',
      on: {
        'attention.forwarded': [
          { guard: 'isMoe', target: 'routing' },
          { guard: 'lastLayer', target: 'leaving' },
          { target: 'wanting', actions: assign({ layer: ({ context }) => context.layer + 1 }) },
        ],
      },
    },
    /** The layer's gate has the tokens; its experts may be elsewhere. */
    routing: {
      entry: 'route',
      on: {
        'forward.done': [
          { guard: 'isDivided', target: 'joining' },
          { guard: 'lastLayer', target: 'leaving' },
          { target: 'wanting', actions: assign({ layer: ({ context }) => context.layer + 1 }) },
        ],
      },
    },
    /** Tensor peers add up what their experts made. */
    joining: {
      entry: 'joinRows',
      on: {
        'rows.joined': [
          { guard: 'lastLayer', target: 'leaving' },
          { target: 'wanting', actions: assign({ layer: ({ context }) => context.layer + 1 }) },
        ],
      },
    },
    leaving: {
      always: [
        { guard: 'evaluatesHead', target: 'wanting', actions: assign({ toward: 'judging' }) },
        { guard: 'hasHead', target: 'idle', actions: 'finishForward' },
        { target: 'idle', actions: ['sendHidden', 'finishForward'] },
      ],
    },
    /** The loss of held-out sequences. */
    judging: {
      entry: 'evaluateHead',
      on: { 'head.finished': { target: 'idle', actions: 'finishForward' } },
    },
    heading: {
      entry: 'backwardHead',
      on: { 'head.finished': { target: 'wanting', actions: assign({ toward: 'backward' }) } },
    },
    backward: {
      always: [
        { guard: 'isMoeAgain', target: 'recomputing' },
        { guard: 'isMoe', target: 'unrouting' },
        { target: 'unattending' },
      ],
    },
    /** What the gate's backward half reads. */
    recomputing: { entry: 'computeAgain', on: { 'layer.again': { target: 'unrouting' } } },
    /** The layer's gate has the gradients. */
    unrouting: {
      entry: 'unroute',
      on: { 'rows.left': { actions: 'sendHeld' }, 'backward.done': { target: 'unattending' } },
    },
    unattending: {
      entry: 'backwardAttention',
      on: {
        'attention.backwarded': [
          { guard: 'firstLayer', target: 'returning', actions: 'holdLayer' },
          {
            guard: 'nextSendsNoRows',
            target: 'wanting',
            actions: ['holdLayer', 'sendHeld', assign({ layer: ({ context }) => context.layer - 1 })],
          },
          {
            target: 'wanting',
            actions: ['holdLayer', assign({ layer: ({ context }) => context.layer - 1 })],
          },
        ],
      },
    },
    returning: {
      always: [
        { guard: 'hasEmbedding', target: 'wanting', actions: assign({ toward: 'unembedding' }) },
        { target: 'idle', actions: ['sendGradient', 'sendHeld', 'finishBackward'] },
      ],
    },
    unembedding: {
      entry: 'backwardEmbedding',
      on: {
        'embedding.backwarded': { target: 'idle', actions: ['holdEmbedding', 'sendHeld', 'finishBackward'] },
      },
    },
  },
});
