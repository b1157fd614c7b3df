import { always, of, on, type EffectsOf } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import { lengthOf } from '../gradients.ts';
import type { ExpertEvent } from './events.ts';

/** A chunk of half of a pass, by the rows that have arrived for it; or the gradients of its matrices, which a pass beside asks for. */
export interface Half {
  readonly direction: 'forward' | 'backward' | 'matrices';
  readonly step: number;
  readonly attempt: number;
  /** Version of the weights that it wants. */
  readonly wanted: number;
  readonly microbatch: number;
  /** Of the rows; of gradients of matrices, all at once, 0. */
  readonly chunk: number;
}

export interface ExpertContext extends Half {
  /** Version whose weights are here completely. */
  readonly version: number;
  /** Elements of the next version that have arrived. */
  readonly arrived: number;
  readonly numElements: number;
  /** Gates that send rows. */
  readonly numSources: number;
  /** Weights are gathered for each half, or a backward half waits for room for its gradients alone. */
  readonly waitsForward: boolean;
  readonly waitsBackward: boolean;
  /** Sources that have sent rows, by chunk of a half; sources may be a few passes apart. */
  readonly sources: ReadonlyMap<string, number>;
  /** Chunks for which every source has sent its rows, in the order in which they became complete. */
  readonly ready: readonly Half[];
}

export type ExpertInput = Pick<
  ExpertContext,
  'numElements' | 'numSources' | 'waitsForward' | 'waitsBackward'
> & { readonly version: number };

const halfOf = (
  event: Extract<ExpertEvent, { readonly type: 'rows.dispatch' | 'gradients.dispatch' }>,
): Half => ({
  direction: event.type === 'rows.dispatch' ? 'forward' : 'backward',
  step: event.step,
  attempt: event.attempt,
  wanted: event.version,
  microbatch: event.microbatch,
  chunk: event.body.chunk,
});

const keyOf = ({ direction, step, attempt, microbatch, chunk }: Half): string =>
  `${direction}/${step}/${attempt}/${microbatch}/${chunk}`;

/** What is known of arrivals when the rows of one more source are here. */
function arrivedAt(
  { sources, ready, numSources }: ExpertContext,
  half: Half,
): Pick<ExpertContext, 'sources' | 'ready'> {
  const key = keyOf(half);
  const count = (sources.get(key) ?? 0) + 1;
  const others = new Map(sources);
  if (count < numSources) return { sources: others.set(key, count), ready };
  others.delete(key);
  return { sources: others, ready: [...ready, half] };
}

export const expertActions = {
  want: always,
  acceptRows: on('rows.dispatch'),
  forward: always,
  returnRows: always,
  acceptGradients: on('gradients.dispatch'),
  backward: always,
  returnGradients: always,
  acceptAsker: on('experts.finish'),
  computeMatrices: always,
  finish: always,
  abandon: on('attempt.abandon'),
} as const;

/** What carries them out. */
export type ExpertEffects = EffectsOf<typeof expertActions, ExpertContext, ExpertEvent>;

/** Transitions to the half that runs. */
const goOn = [
  { guard: 'isForward' as const, target: '#expert.serving.forwarding' as const },
  { target: '#expert.serving.backwarding' as const },
];

/**
 * A group of experts of one layer, run as one grouped FFN.
 *
 * EXP-1: a chunk of half of a pass runs once the rows of every source for it are here and the weights are those of its version, in whatever
 * order these came, while later chunks are on their way; sources are computed in rank order. EXP-2: every leaf of the gradient is added exactly once, in the kernel of the backward pass.
 * EXP-3: several passes may be open; chunks run in the order in which they became complete, and those of one half in their order. EXP-4: gradients of matrices that wait are
 * computed when the pass beside asks, whose own backward half is over: so all sources have theirs. REC-1: any state leaves an abandoned
 * attempt, and then waits for weights as in the beginning.
 */
export const expertMachine = setup({
  types: { context: {} as ExpertContext, events: {} as ExpertEvent, input: {} as ExpertInput },
  actions: {
    ...expertActions,
    arrive: assign(({ context, event }) =>
      arrivedAt(context, halfOf(of(event, 'rows.dispatch', 'gradients.dispatch'))),
    ),
    ask: assign({
      ready: ({ context, event: { step, attempt, version, microbatch } }) => [
        ...context.ready,
        { direction: 'matrices', step, attempt, wanted: version, microbatch, chunk: 0 },
      ],
    }),
    take: assign(({ context }) => ({ ...context.ready[0], ready: context.ready.slice(1) })),
  },
  guards: {
    completesVersion: ({ context, event }) =>
      context.arrived + lengthOf(of(event, 'weights.publish').body) === context.numElements,
    canForward: ({ context: { ready, version } }) =>
      ready[0]?.direction === 'forward' && ready[0].wanted === version,
    canBackward: ({ context: { ready } }) => ready[0]?.direction === 'backward',
    isForward: ({ context }) => context.direction === 'forward',
    waits: ({ context }) =>
      context.chunk === 0 && (context.direction === 'forward' ? context.waitsForward : context.waitsBackward),
    canFinish: ({ context: { ready } }) => ready[0]?.direction === 'matrices',
  },
}).createMachine({
  id: 'expert',
  context: ({ input }) => ({
    ...input,
    version: input.version - 1,
    arrived: 0,
    sources: new Map<string, number>(),
    ready: [],
    direction: 'forward' as const,
    step: 0,
    attempt: 0,
    wanted: 0,
    microbatch: 0,
    chunk: 0,
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
    'rows.dispatch': { actions: ['acceptRows', 'arrive'] },
    'gradients.dispatch': { actions: ['acceptGradients', 'arrive'] },
    'experts.finish': { actions: ['acceptAsker', 'ask'] },
    'attempt.abandon': {
      target: '.loading',
      actions: [
        assign({ version: -1, arrived: 0, sources: new Map<string, number>(), ready: [] }),
        'abandon',
      ],
    },
  },
  states: {
    /** Weights are on their way; rows of a faster rank wait here. */
    loading: {},
    serving: {
      initial: 'gathering',
      states: {
        gathering: {
          always: [
            { guard: 'canForward', target: 'wanting', actions: 'take' },
            { guard: 'canBackward', target: 'wanting', actions: 'take' },
            { guard: 'canFinish', target: 'finishing', actions: 'take' },
          ],
        },
        /** The layer's weights are gathered, or its gradients find no room yet; mostly both are here. Once for all chunks of a half. */
        wanting: {
          initial: 'looking',
          states: {
            looking: { always: [{ guard: 'waits', target: 'waiting' }, ...goOn] },
            waiting: { entry: 'want', on: { 'segment.ready': goOn } },
          },
        },
        forwarding: {
          entry: 'forward',
          on: { 'experts.forwarded': { target: 'gathering', actions: 'returnRows' } },
        },
        backwarding: {
          entry: 'backward',
          on: { 'experts.backwarded': { target: 'gathering', actions: 'returnGradients' } },
        },
        finishing: {
          entry: 'computeMatrices',
          on: { 'matrices.computed': { target: 'gathering', actions: 'finish' } },
        },
      },
    },
  },
});
