import { fencedKinds, ownEvent } from '@troupe/runtime';
import { messages, type EventsOf, type Self } from '../messages.ts';

const own = {
  // An update that has begun is finished in any attempt.
  'weights.applied': ownEvent(),
} as const;

export type WardEvent = EventsOf<'ward', typeof own>;
export type WardSelf = Self<'ward', typeof own>;

/** What may still come from an attempt that is over. */
export const fencedByWard = fencedKinds(messages, 'ward', own);
