import { field, ownEvent } from '@troupe/runtime';
import type { EventsOf, Self } from '../messages.ts';

const own = {
  // Of a source that has to be waited for.
  'step.loaded': ownEvent({ body: { asker: field.text } }),
  'evaluation.loaded': ownEvent({ body: { asker: field.text } }),
  'source.failed': ownEvent(),
} as const;

export type FeederEvent = EventsOf<'feeder', typeof own>;
export type FeederSelf = Self<'feeder', typeof own>;
