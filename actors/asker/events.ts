import { ownEvent } from '@troupe/runtime';
import type { EventsOf, Self } from '../messages.ts';

const own = {
  /** A question found no answer: refused, too late, or nobody was there. */
  'ask.failed': ownEvent(),
} as const;

export type AskerEvent = EventsOf<'asker', typeof own>;
export type AskerSelf = Self<'asker', typeof own>;
