import { fencedKinds, ownEvent } from '@troupe/runtime';
import { messages, type EventsOf, type Self } from '../messages.ts';

const own = {
  'experts.forwarded': ownEvent({ fenced: true }),
  'experts.backwarded': ownEvent({ fenced: true }),
  'matrices.computed': ownEvent({ fenced: true }),
} as const;

export type ExpertEvent = EventsOf<'expert', typeof own>;
export type ExpertSelf = Self<'expert', typeof own>;

/** What may still come from an attempt that is over. */
export const fencedByExpert = fencedKinds(messages, 'expert', own);
