import type { EventsOf, Self } from '../messages.ts';

export type ServiceEvent = EventsOf<'service'>;
export type ServiceSelf = Self<'service'>;
/** A question as it came: rows, and the expert of each. */
export type QuestionEvent = Extract<ServiceEvent, { readonly type: 'experts.ask' }>;
