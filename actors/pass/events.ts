import { fencedKinds, ownEvent } from '@troupe/runtime';
import { messages, type EventsOf, type Self } from '../messages.ts';

const completion = ownEvent({ fenced: true });
const own = {
  'attention.forwarded': completion,
  'rows.joined': completion,
  'head.finished': completion,
  'attention.backwarded': completion,
  'embedding.backwarded': completion,
  'segments.here': completion,
  'matrices.computed': completion,
  'layer.again': completion,
  'share.made': completion,
} as const;

export type PassEvent = EventsOf<'pass', typeof own>;
export type PassSelf = Self<'pass', typeof own>;

/** What may still come from an attempt that is over. */
export const fencedByPass = fencedKinds(messages, 'pass', own);
