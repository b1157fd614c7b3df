import { fencedKinds, field, ownEvent } from '@troupe/runtime';
import { messages, type EventsOf, type Self } from '../messages.ts';

const { text } = field;
const own = {
  /** Of the attempt that they carry. */
  'part.finished': ownEvent({ body: { folder: text, sha256: text } }),
  'part.broken': ownEvent(),
} as const;

export type PartEvent = EventsOf<'part', typeof own>;
export type PartSelf = Self<'part', typeof own>;

/** What may still come from an attempt that is over. */
export const fencedByPart = fencedKinds(messages, 'part', own);
