import { assign, setup } from 'xstate';
import type { TrainerEvent } from './events.ts';

export interface TrainerContext {
  /** Step that is open or, between steps, the last one committed. */
  readonly step: number;
  readonly attempt: number;
  /** Answers that have come for the present phase. */
  readonly loaded: number;
  readonly counted: number;
  readonly measured: number;
  readonly votes: number;
  readonly applied: number;
  readonly evaluated: number;
  readonly sent: number;
  /** A stop was asked for: the open step is finished first. */
  readonly stopping: boolean;
  /** Step that the newest checkpoint holds. */
  readonly saved: number;
  readonly numShards: number;
  readonly numReplicas: number;
  readonly stopAfter: number;
  /** Pure schedule: whether something follows the commit of a step. */
  readonly checkpointDue: (step: number) => boolean;
  /** False: this run writes no checkpoints at all. */
  readonly checkpoints: boolean;
  readonly evaluationDue: (step: number) => boolean;
  /** Whether the votes of the present attempt were finite; filled in by the ledger. */
  readonly finite: () => boolean;
}

export type TrainerInput = Pick<
  TrainerContext,
  | 'step'
  | 'numShards'
  | 'numReplicas'
  | 'stopAfter'
  | 'checkpointDue'
  | 'checkpoints'
  | 'evaluationDue'
  | 'finite'
>;

const MOST_ATTEMPTS = 2;

/**
 * The step protocol. TRN-1: a step commits once, when every shard has voted and every replica has measured; a decision is never
 * taken back. TRN-2: a non-finite step is replayed once and skipped only if it repeats. TRN-3: nothing new opens before what the
 * commit made due (evaluation, checkpoint) is done.
 */
export const trainerMachine = setup({
  types: { context: {} as TrainerContext, events: {} as TrainerEvent, input: {} as TrainerInput },
  actions: {
    ignore: () => {},
    start: () => {},
    open: () => {},
    replay: () => {},
    recordCount: () => {},
    recordMeasure: () => {},
    recordVote: () => {},
    shareBalance: () => {},
    decide: () => {},
    report: () => {},
    evaluate: () => {},
    recordEvaluation: () => {},
    reportEvaluation: () => {},
    checkpoint: () => {},
    reportCheckpoint: () => {},
    failCheckpoint: () => {},
    finish: () => {},
  },
  guards: {
    allLoaded: ({ context }) => context.loaded + 1 === context.numShards,
    begun: ({ context }) => context.counted === context.numReplicas,
    stepComplete: ({ context }) =>
      context.measured === context.numReplicas && context.votes === context.numShards,
    replayable: ({ context }) =>
      context.measured === context.numReplicas &&
      context.votes === context.numShards &&
      !context.finite() &&
      context.attempt < MOST_ATTEMPTS,
    allApplied: ({ context }) => context.applied + 1 === context.numShards,
    allEvaluated: ({ context }) => context.evaluated + 1 === context.numReplicas,
    evaluationDue: ({ context }) => context.evaluationDue(context.step),
    checkpointDue: ({ context }) => context.checkpoints && context.checkpointDue(context.step),
    endedUnsaved: ({ context }) =>
      context.checkpoints &&
      context.saved !== context.step &&
      (context.stopping || context.step >= context.stopAfter),
    ended: ({ context }) => context.stopping || context.step >= context.stopAfter,
  },
}).createMachine({
  id: 'trainer',
  context: ({ input }) => ({
    ...input,
    attempt: 1,
    loaded: 0,
    counted: 0,
    measured: 0,
    votes: 0,
    applied: 0,
    evaluated: 0,
    sent: 0,
    stopping: false,
    saved: input.step,
  }),
  initial: 'loading',
  on: {
    'run.stop': { actions: assign({ stopping: true }) },
    // Feeders report one step ahead, whatever the trainer does meanwhile.
    'batch.counted': { actions: [assign({ counted: ({ context }) => context.counted + 1 }), 'recordCount'] },
  },
  states: {
    loading: {
      entry: 'start',
      on: {
        'shard.loaded': [
          { guard: 'allLoaded', target: 'choosing' },
          { actions: assign({ loaded: ({ context }) => context.loaded + 1 }) },
        ],
      },
    },
    /** Between steps: stop, or open the next one as soon as its batch is counted. */
    choosing: {
      always: [
        { guard: 'endedUnsaved', target: 'checkpointing' },
        { guard: 'ended', target: 'closing' },
        { guard: 'begun', target: 'training' },
      ],
    },
    training: {
      entry: [
        assign({
          step: ({ context }) => context.step + 1,
          attempt: 1,
          counted: 0,
          measured: 0,
          votes: 0,
          applied: 0,
        }),
        'open',
      ],
      on: {
        'replica.measured': {
          actions: [assign({ measured: ({ context }) => context.measured + 1 }), 'recordMeasure'],
        },
        'balance.share': { actions: 'shareBalance' },
        'gradient.vote': { actions: [assign({ votes: ({ context }) => context.votes + 1 }), 'recordVote'] },
      },
      always: [
        {
          guard: 'replayable',
          actions: [
            assign({ attempt: ({ context }) => context.attempt + 1, measured: 0, votes: 0 }),
            'replay',
          ],
        },
        { guard: 'stepComplete', target: 'committing', actions: 'decide' },
      ],
    },
    /** The decision is out and binds; shards apply it. */
    committing: {
      on: {
        'commit.applied': [
          { guard: 'allApplied', target: 'committed', actions: 'report' },
          { actions: assign({ applied: ({ context }) => context.applied + 1 }) },
        ],
      },
    },
    committed: {
      always: [
        { guard: 'evaluationDue', target: 'evaluating' },
        { guard: 'checkpointDue', target: 'checkpointing' },
        { target: 'choosing' },
      ],
    },
    evaluating: {
      entry: [assign({ evaluated: 0 }), 'evaluate'],
      on: {
        'replica.evaluated': [
          { guard: 'allEvaluated', target: 'evaluated', actions: ['recordEvaluation', 'reportEvaluation'] },
          { actions: [assign({ evaluated: ({ context }) => context.evaluated + 1 }), 'recordEvaluation'] },
        ],
      },
    },
    evaluated: { always: [{ guard: 'checkpointDue', target: 'checkpointing' }, { target: 'choosing' }] },
    checkpointing: {
      entry: 'checkpoint',
      on: {
        'checkpoint.written': {
          target: 'choosing',
          actions: [assign({ saved: ({ context }) => context.step }), 'reportCheckpoint'],
        },
        'checkpoint.failed': { target: 'failed', actions: 'failCheckpoint' },
        'snapshot.sent': { actions: 'ignore' },
      },
    },
    closing: { entry: 'finish', type: 'final' },
    failed: { type: 'final' },
  },
});
