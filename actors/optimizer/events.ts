import { fencedKinds, field, ownEvent } from '@troupe/runtime';
import { messages, type EventsOf, type Self } from '../messages.ts';

const completion = ownEvent({ fenced: true });
const own = {
  'parameters.initialised': completion,
  'weights.rounded': completion,
  'gradient.added': ownEvent({
    fenced: true,
    body: { from: field.number, to: field.number, level: field.number, sender: field.text },
  }),
  'sums.reset': completion,
  'sums.settled': completion,
  'norm.measured': completion,
  'ask.failed': completion,
  // An update that has begun is finished in any attempt.
  'weights.applied': ownEvent(),
} as const;

export type OptimizerEvent = EventsOf<'optimizer', typeof own>;
export type OptimizerSelf = Self<'optimizer', typeof own>;

/** What may still come from an attempt that is over. */
export const fencedByOptimizer = fencedKinds(messages, 'optimizer', own);
