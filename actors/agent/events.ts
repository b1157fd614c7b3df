import { fencedKinds } from '@troupe/runtime';
import { messages, type EventsOf, type Self } from '../messages.ts';

export type AgentEvent = EventsOf<'agent'>;
export type AgentSelf = Self<'agent'>;

/** What may still come from an attempt that is over. */
export const fencedByAgent = fencedKinds(messages, 'agent', {});
