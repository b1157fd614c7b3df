import { numberIn } from '@troupe/runtime';
import { assign, setup } from 'xstate';
import type { StoreEvent } from './events.ts';

export interface StoreContext {
  readonly step: number;
  readonly numShards: number;
  /** Shards that have said how many pieces they sent. */
  readonly sent: number;
  /** Pieces that these announced, and pieces that have come. */
  readonly announced: number;
  readonly received: number;
}

/**
 * A durable sink on one machine, and the source of a cold start.
 *
 * STO-1: a checkpoint is seen only when every announced piece has come and is on the disk; until then the one before it is the latest.
 */
export const storeMachine = setup({
  types: { context: {} as StoreContext, events: {} as StoreEvent },
  actions: {
    readSlice: () => {},
    answerSlice: () => {},
    refuseSlice: () => {},
    open: () => {},
    put: () => {},
    finish: () => {},
    reportWritten: () => {},
    reportBroken: () => {},
  },
  guards: {
    complete: ({ context }) => context.sent === context.numShards && context.received === context.announced,
  },
}).createMachine({
  id: 'store',
  context: { step: 0, numShards: 0, sent: 0, announced: 0, received: 0 },
  initial: 'idle',
  on: {
    'slices.read': { actions: 'readSlice' },
    'slice.ready': { actions: 'answerSlice' },
    'slice.failed': { actions: 'refuseSlice' },
    // A shard's first pieces may overtake the trainer's word that a checkpoint begins.
    'snapshot.slice': { actions: ['put', assign({ received: ({ context }) => context.received + 1 })] },
    'snapshot.sent': {
      actions: assign({
        sent: ({ context }) => context.sent + 1,
        announced: ({ context, event }) => context.announced + numberIn(event, 'pieces'),
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
              numShards: ({ event }) => numberIn(event, 'numShards'),
            }),
            'open',
          ],
        },
      },
    },
    gathering: { always: { guard: 'complete', target: 'writing' } },
    writing: {
      entry: ['finish', assign({ sent: 0, announced: 0, received: 0 })],
      on: {
        'checkpoint.finished': { target: 'idle', actions: 'reportWritten' },
        'checkpoint.broken': { target: 'idle', actions: 'reportBroken' },
      },
    },
  },
});
