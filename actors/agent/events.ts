import { fencedKinds, field, ownEvent } from '@troupe/runtime';
import { messages, type EventsOf, type Self } from '../messages.ts';

const own = {
  /** The lead has asked nothing for too long. */
  'lead.silent': ownEvent({ body: { incarnation: field.number } }),
  /** A heartbeat found no answer. */
  'ask.failed': ownEvent({ body: { node: field.text, incarnation: field.number } }),
} as const;

export type AgentEvent = EventsOf<'agent', typeof own>;
export type AgentSelf = Self<'agent', typeof own>;

/** What may still come from an attempt that is over. */
export const fencedByAgent = fencedKinds(messages, 'agent', own);
