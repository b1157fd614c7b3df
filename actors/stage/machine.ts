import { always, ignore, of, on, type EffectsOf } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import type { Operation } from '@troupe/topology/layout';
import { lengthOf } from '../gradients.ts';
import { begun, inputKey, isThrough, mayBegin, nextOf, runningOf, type Cursor } from './cursor.ts';
import type { StageEvent } from './events.ts';

export interface StageContextData extends Cursor {
  /** Version whose weights are here completely, -1 before the first. */
  readonly version: number;
  /** Elements of version `version + 1` that have arrived. */
  readonly arrived: number;
  /** Something has been opened that has not begun yet. */
  readonly opened: boolean;
  /** Version that the opened pass wants. */
  readonly wanted: number;
  /** Microbatches whose tokens are here, by step; what is sent twice is the same twice. */
  readonly batches: ReadonlyMap<number, ReadonlySet<number>>;
  /** The evaluation pass whose sequences are here; -1: none. */
  readonly fetched: number;
  /** What is open is a question about one sequence, not an evaluation. */
  readonly isQuestion: boolean;
  /** The balance of the whole batch is known. */
  readonly isShared: boolean;
  readonly numElements: number;
  readonly numMicrobatches: number;
  readonly training: readonly Operation[];
  readonly evaluation: readonly Operation[];
  /** Balance fractions are taken over the whole batch: backward waits until the trainer has summed them. */
  readonly sharesBalance: boolean;
}

export type StageInput = Pick<
  StageContextData,
  'numElements' | 'numMicrobatches' | 'training' | 'evaluation' | 'chunks' | 'width' | 'sharesBalance'
> & { readonly version: number };

export const stageActions = {
  ignore,
  acceptBatch: on('batch.ready'),
  acceptEvaluation: on('evaluation.ready'),
  acceptQuestion: on('generation.open'),
  reportLogits: always,
  acceptInput: on('hidden.ready', 'hidden.gradient'),
  askEvaluation: always,
  open: on('step.open'),
  begin: always,
  beginOperation: always,
  endForward: on('pass.forwarded'),
  endBackward: on('pass.backwarded'),
  endMatrices: on('matrices.done'),
  awaitInput: always,
  endWait: always,
  shareBalance: always,
  acceptBalance: on('balance.shared'),
  measure: always,
  reportEvaluation: always,
  abandon: on('attempt.abandon'),
} as const;

/** What carries them out. */
export type StageEffects = EffectsOf<typeof stageActions, StageContextData, StageEvent>;

/** The next backward pass waits for the choices of the whole batch, hence for all forward passes. */
const lacksBalance = (context: StageContextData): boolean =>
  context.sharesBalance && !context.isShared && nextOf(context)?.direction === 'backward';

/** What arrives from another stage counts for the pass that it names. */
/** The operations that still run when a pass has answered. */
function endedBy(context: StageContextData, event: StageEvent): readonly number[] {
  const { body, microbatch } = of(event, 'pass.forwarded', 'pass.backwarded', 'matrices.done');
  const ended = runningOf(context, { chunk: body.chunk, microbatch });
  return context.running.filter((index) => index !== ended);
}

const arrivedFor = (event: StageEvent): string => {
  const { step, attempt, microbatch } = event;
  const place = { step, attempt, microbatch };
  if (event.type === 'hidden.ready') return inputKey({ ...place, ...event.body, direction: 'forward' });
  return inputKey({ ...place, ...of(event, 'hidden.gradient').body, mode: 'train', direction: 'backward' });
};

/**
 * The operations of one stage, in the order of its program.
 *
 * STG-1: a step or an evaluation begins when it is open, its weights are complete at the wanted version and its tokens are here, in
 * whatever order these come. STG-2: operations begin in the order of the program, the next one while the one before waits; one begins when what it begins with has come
 * from the stage beside it, which may be earlier than its turn. REC-1: any state leaves an abandoned attempt, and then waits for weights as
 * in the beginning.
 */
export const stageMachine = setup({
  types: { context: {} as StageContextData, events: {} as StageEvent, input: {} as StageInput },
  actions: {
    ...stageActions,
    noteInput: assign({
      inputs: ({ context, event }) => new Set([...context.inputs, arrivedFor(event)]),
    }),
    forgetInputs: assign({ inputs: new Set<string>() }),
    noteEnd: assign({ running: ({ context, event }) => endedBy(context, event) }),
  },
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
    trained: ({ context }) => context.mode === 'train' && isThrough(context),
    answered: ({ context }) => context.isQuestion && context.mode === 'evaluate' && isThrough(context),
    evaluated: ({ context }) => context.mode === 'evaluate' && isThrough(context),
    needsBalance: ({ context }) => lacksBalance(context) && context.running.length === 0,
    needsSequences: ({ context }) =>
      context.mode === 'evaluate' &&
      context.running.length === 0 &&
      nextOf(context)?.microbatch !== context.fetched,
    mayBegin: ({ context }) => !lacksBalance(context) && mayBegin(context),
    isOperating: ({ context }) => context.running.length > 0,
  },
}).createMachine({
  id: 'stage',
  context: ({ input }) => ({
    ...input,
    version: input.version - 1,
    step: 0,
    attempt: 0,
    arrived: 0,
    mode: 'train' as const,
    operations: [],
    next: 0,
    running: [],
    inputs: new Set<string>(),
    opened: false,
    wanted: 0,
    batches: new Map<number, ReadonlySet<number>>(),
    fetched: -1,
    isQuestion: false,
    isShared: false,
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
    'hidden.ready': { actions: ['acceptInput', 'noteInput'] },
    'hidden.gradient': { actions: ['acceptInput', 'noteInput'] },
    'attempt.abandon': [
      { guard: 'known', actions: 'ignore' },
      {
        target: '.waiting',
        actions: [
          assign({
            attempt: ({ event }) => event.attempt,
            version: -1,
            arrived: 0,
            opened: false,
            running: [],
            inputs: new Set<string>(),
          }),
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
            isQuestion: false,
          }),
        },
        'generation.open': {
          actions: [
            'acceptQuestion',
            assign({
              step: ({ event }) => event.step,
              attempt: ({ event }) => event.attempt,
              wanted: ({ event }) => event.version,
              mode: 'evaluate',
              opened: true,
              isQuestion: true,
            }),
          ],
        },
      },
      always: [
        {
          guard: 'canTrain',
          target: 'choosing',
          actions: [
            assign({
              opened: false,
              operations: ({ context }) => context.training,
              next: 0,
              isShared: false,
              batches: ({ context }) =>
                new Map([...context.batches].filter(([step]) => step >= context.step)),
            }),
            'begin',
          ],
        },
        {
          guard: 'canEvaluate',
          target: 'choosing',
          actions: [
            assign({
              opened: false,
              operations: ({ context: { evaluation, isQuestion } }) =>
                isQuestion ? evaluation.filter(({ microbatch }) => microbatch === 0) : evaluation,
              next: 0,
              // The sequence of a question came with it.
              fetched: ({ context }) => (context.isQuestion ? 0 : -1),
            }),
            'begin',
          ],
        },
      ],
    },
    /** Between operations. */
    choosing: {
      always: [
        { guard: 'trained', target: 'waiting', actions: ['measure', 'forgetInputs'] },
        { guard: 'answered', target: 'waiting', actions: ['reportLogits', 'forgetInputs'] },
        {
          guard: 'evaluated',
          target: 'waiting',
          actions: ['reportEvaluation', 'forgetInputs'],
        },
        { guard: 'needsBalance', target: 'sharing' },
        { guard: 'needsSequences', target: 'fetching' },
        {
          guard: 'mayBegin',
          target: 'beginning',
          actions: ['beginOperation', assign(({ context }) => begun(context))],
        },
        { guard: 'isOperating', target: 'operating' },
        { target: 'starving' },
      ],
    },
    /** The next one may begin too. */
    beginning: { always: { target: 'choosing' } },
    /** Passes compute, or wait for experts. */
    operating: {
      on: {
        'pass.forwarded': { target: 'choosing', actions: ['endForward', 'noteEnd'] },
        'pass.backwarded': { target: 'choosing', actions: ['endBackward', 'noteEnd'] },
        'matrices.done': { target: 'choosing', actions: ['endMatrices', 'noteEnd'] },
        'hidden.ready': { target: 'choosing', actions: ['acceptInput', 'noteInput'] },
        'hidden.gradient': { target: 'choosing', actions: ['acceptInput', 'noteInput'] },
      },
    },
    /** What the next operation begins with is still on its way from another stage. */
    starving: {
      entry: 'awaitInput',
      exit: 'endWait',
      on: {
        'hidden.ready': { target: 'choosing', actions: ['acceptInput', 'noteInput'] },
        'hidden.gradient': { target: 'choosing', actions: ['acceptInput', 'noteInput'] },
      },
    },
    /** Waits for the held-out sequences of one evaluation pass. */
    fetching: {
      entry: 'askEvaluation',
      on: {
        'evaluation.ready': {
          target: 'choosing',
          actions: ['acceptEvaluation', assign({ fetched: ({ event }) => event.microbatch })],
        },
      },
    },
    sharing: {
      entry: 'shareBalance',
      on: {
        'balance.shared': { target: 'choosing', actions: ['acceptBalance', assign({ isShared: true })] },
      },
    },
  },
});
