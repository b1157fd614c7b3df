import { fencedKinds, field, ownEvent } from '@troupe/runtime';
import { messages, type EventsOf, type Self } from '../messages.ts';

const own = {
  /** The store did not find a snapshot in time. */
  'ask.failed': ownEvent({ fenced: true }),
  /** The decision of the open step is on the disk; or it could not be put there. */
  'decision.recorded': ownEvent({ body: { record: field.text } }),
  'decision.unrecorded': ownEvent(),
  /** The run is this lead's, and that is what its journal holds; or it is not. */
  'lead.claimed': ownEvent({ body: { records: field.texts } }),
  'lead.unclaimed': ownEvent(),
  /** Experts have been dealt by the rows that they had; whether any is to move. */
  'experts.dealt': ownEvent({ fenced: true, body: { moves: field.flag } }),
} as const;

export type TrainerEvent = EventsOf<'trainer', typeof own>;
export type TrainerSelf = Self<'trainer', typeof own>;

/** What may still come from an attempt that is over. A checkpoint that was finished nevertheless counts. */
export const fencedByTrainer = fencedKinds(messages, 'trainer', own);
