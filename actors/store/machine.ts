import { always, on, type EffectsOf } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import { isComplete, nothingCame, type GatheredPieces } from '../gathered-pieces.ts';
import type { StoreEvent } from './events.ts';

export interface StoreContext extends GatheredPieces {
  readonly step: number;
  /** Attempt whose pieces count. */
  readonly attempt: number;
  /** Machines that write a part each; null: shards send their pieces here. */
  readonly numParts: number | null;
}

export const storeActions = {
  readSlice: on('slices.read'),
  answerSlice: on('slice.ready'),
  refuseSlice: on('slice.failed'),
  open: on('checkpoint.begin'),
  put: on('snapshot.slice'),
  takePart: on('part.written'),
  losePart: on('part.failed'),
  finish: always,
  reportWritten: on('checkpoint.finished'),
  reportBroken: on('checkpoint.broken'),
  discard: always,
  reportSettled: always,
  findSnapshot: on('snapshot.find'),
  answerSnapshot: on('snapshot.opened'),
  refuseSnapshot: on('snapshot.unreadable'),
  release: always,
} as const;

/** What carries them out. */
export type StoreEffects = EffectsOf<typeof storeActions, StoreContext, StoreEvent>;

/**
 * A durable sink on one machine, and the source of a cold start.
 *
 * STO-1: a checkpoint is seen only when every announced piece has come and is on the disk; until then the one before it is the latest.
 * STO-2: when an attempt is abandoned, a checkpoint that lacks pieces is thrown away, one that has them all is finished; then the store
 * says that it reads no shard's memory any more.
 */
export const storeMachine = setup({
  types: {
    context: {} as StoreContext,
    events: {} as StoreEvent,
    input: {} as Pick<StoreContext, 'numParts'> | undefined,
  },
  actions: {
    ...storeActions,
    countSent: assign({ sent: ({ context }) => context.sent + 1 }),
    takeAttempt: assign({ attempt: ({ event }) => event.attempt }),
  },
  guards: {
    complete: ({ context }) => isComplete(context),
  },
}).createMachine({
  id: 'store',
  context: ({ input }) => ({
    step: 0,
    attempt: 0,
    numParts: input?.numParts ?? null,
    numShards: 0,
    ...nothingCame,
  }),
  initial: 'idle',
  on: {
    'slices.read': { actions: 'readSlice' },
    'slice.ready': { actions: 'answerSlice' },
    'slice.failed': { actions: 'refuseSlice' },
    'snapshot.find': { actions: 'findSnapshot' },
    'snapshot.opened': { actions: 'answerSnapshot' },
    'snapshot.unreadable': { actions: 'refuseSnapshot' },
    'snapshot.release': { actions: 'release' },
    'checkpoint.abandon': {
      target: '.discarding',
      actions: ['takeAttempt', assign(nothingCame)],
    },
    // A shard's first pieces may overtake the trainer's word that a checkpoint begins.
    'snapshot.slice': { actions: ['put', assign({ received: ({ context }) => context.received + 1 })] },
    'part.written': { actions: ['takePart', 'countSent'] },
    'part.failed': { actions: ['losePart', 'countSent'] },
    'snapshot.sent': {
      actions: assign({
        sent: ({ context }) => context.sent + 1,
        announced: ({ context, event }) => context.announced + event.body.pieces,
      }),
    },
  },
  states: {
    idle: {
      on: {
        'checkpoint.begin': {
          target: 'gathering',
          actions: [
            assign({
              step: ({ event }) => event.step,
              numShards: ({ context, event }) => context.numParts ?? event.body.numShards,
            }),
            'open',
          ],
        },
      },
    },
    gathering: { always: { guard: 'complete', target: 'writing' } },
    writing: {
      entry: ['finish', assign(nothingCame)],
      on: {
        'checkpoint.finished': { target: 'idle', actions: 'reportWritten' },
        'checkpoint.broken': { target: 'idle', actions: 'reportBroken' },
        'checkpoint.abandon': { target: 'completing', actions: 'takeAttempt' },
      },
    },
    /** The attempt is over, but everything of the checkpoint is here. */
    completing: {
      on: {
        'checkpoint.finished': { target: 'idle', actions: ['reportWritten', 'reportSettled'] },
        'checkpoint.broken': { target: 'idle', actions: ['reportBroken', 'reportSettled'] },
        'checkpoint.abandon': { actions: 'takeAttempt' },
      },
    },
    discarding: {
      entry: 'discard',
      on: {
        'checkpoint.discarded': { target: 'idle', actions: 'reportSettled' },
        'checkpoint.abandon': { actions: 'takeAttempt' },
      },
    },
  },
});
