import { ownEvent } from '@troupe/runtime';
import type { EventsOf, Self } from '../messages.ts';

const own = {
  // Of a source that has to be waited for.
  'step.loaded': ownEvent(),
  'evaluation.loaded': ownEvent(),
  'source.failed': ownEvent(),
} as const;

export type FeederEvent = EventsOf<'feeder', typeof own>;
export type FeederSelf = Self<'feeder', typeof own>;
