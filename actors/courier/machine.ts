import { always, ignore, on, type EffectsOf } from '@troupe/runtime';
import { setup } from 'xstate';
import type { CourierEvent } from './events.ts';

export const courierActions = {
  ignore,
  want: on('segment.want'),
  leave: on('segment.left'),
  send: on('gradient.filled'),
  take: on('gradient.taken'),
  put: on('weights.part'),
  bring: on('weights.bring'),
  abandon: on('attempt.abandon'),
  reportAbandoned: always,
} as const;

/** What carries them out. */
export type CourierEffects = EffectsOf<typeof courierActions, object, CourierEvent>;

/**
 * Carries the gradients of a parameter group from a worker to the shards that add them up, and weights from those that own them.
 *
 * It has one state: what it does next follows from its buckets and its window (GRD-3, REP-3). COU-1: every want is answered, in the order in
 * which room and weights come; who waits for them is this actor, with a deadline. COU-2: at most one segment is gathered ahead of what is
 * wanted, and only into room that nobody uses.
 */
export const courierMachine = setup({
  types: { events: {} as CourierEvent },
  actions: courierActions,
}).createMachine({
  id: 'courier',
  initial: 'serving',
  on: {
    'segment.want': { actions: 'want' },
    'segment.left': { actions: 'leave' },
    'gradient.filled': { actions: 'send' },
    'gradient.taken': { actions: 'take' },
    'weights.part': { actions: 'put' },
    'weights.bring': { actions: 'bring' },
    // It lies in front of every list that reads the segment.
    'slice.copied': { actions: 'ignore' },
    'attempt.abandon': { actions: 'abandon' },
    // REC-2: what the device still had of the attempt is behind it.
    'device.drained': { actions: 'reportAbandoned' },
  },
  states: { serving: {} },
});
