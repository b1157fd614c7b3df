import { always, ignore, on, type EffectsOf } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import { isComplete, nothingCame, type GatheredPieces } from '../gathered-pieces.ts';
import type { PartEvent } from './events.ts';

export interface PartContext extends GatheredPieces {
  readonly step: number;
  /** Attempt whose pieces count. */
  readonly attempt: number;
}

export const partActions = {
  ignore,
  open: on('part.begin'),
  put: on('snapshot.slice'),
  finish: always,
  discard: always,
  reportWritten: on('part.finished'),
  reportBroken: on('part.broken'),
} as const;

/** What carries them out. */
export type PartEffects = EffectsOf<typeof partActions, PartContext, PartEvent>;

/**
 * The store of one machine: the part of a checkpoint that its shards hold.
 *
 * STO-4: a part is told of when every announced piece of the machine has come and lasts on the disk.
 * STO-5: what belongs to a newer attempt ends what was begun in an older one, whoever says it first: a shard's pieces may overtake the store.
 */
export const partMachine = setup({
  types: {
    context: {} as PartContext,
    events: {} as PartEvent,
    input: {} as Pick<PartContext, 'numShards'>,
  },
  actions: {
    ...partActions,
    takeAttempt: assign(({ event }) => ({ attempt: event.attempt, ...nothingCame })),
    takeStep: assign(({ event }) => ({ step: event.step, attempt: event.attempt })),
  },
  guards: {
    isNewer: ({ context, event }) => event.attempt > context.attempt,
    isPresent: ({ context, event }) => event.attempt === context.attempt,
    complete: ({ context }) => isComplete(context),
  },
}).createMachine({
  id: 'part',
  context: ({ input }) => ({ step: 0, attempt: 0, ...input, ...nothingCame }),
  initial: 'idle',
  on: {
    'part.begin': [
      { guard: 'isNewer', target: '.gathering', actions: ['discard', 'takeAttempt', 'takeStep', 'open'] },
      { target: '.gathering', actions: ['takeStep', 'open'] },
    ],
    'part.abandon': [
      { guard: 'isNewer', target: '.idle', actions: ['discard', 'takeAttempt'] },
      // A shard's pieces have said it.
      { actions: 'ignore' },
    ],
    'snapshot.slice': [
      {
        guard: 'isNewer',
        target: '.idle',
        actions: ['discard', 'takeAttempt', 'put', assign({ received: 1 })],
      },
      { actions: ['put', assign({ received: ({ context }) => context.received + 1 })] },
    ],
    'snapshot.sent': [
      {
        guard: 'isNewer',
        target: '.idle',
        actions: ['discard', 'takeAttempt', assign({ sent: 1, announced: ({ event }) => event.body.pieces })],
      },
      {
        actions: assign({
          sent: ({ context }) => context.sent + 1,
          announced: ({ context, event }) => context.announced + event.body.pieces,
        }),
      },
    ],
    // Of an attempt that is over by now.
    'part.finished': { actions: 'ignore' },
    'part.broken': { actions: 'ignore' },
  },
  states: {
    idle: {},
    gathering: { always: { guard: 'complete', target: 'writing' } },
    writing: {
      entry: ['finish', assign(nothingCame)],
      on: {
        'part.finished': { guard: 'isPresent', target: 'idle', actions: 'reportWritten' },
        'part.broken': { guard: 'isPresent', target: 'idle', actions: 'reportBroken' },
      },
    },
  },
});
