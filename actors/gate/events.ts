import { fencedKinds, ownEvent } from '@troupe/runtime';
import { messages, type EventsOf, type Self } from '../messages.ts';

const completion = ownEvent({ fenced: true });
const own = {
  'logits.computed': completion,
  'candidates.computed': completion,
  'thresholds.decided': completion,
  'routing.planned': completion,
  'tokens.packed': completion,
  'outputs.combined': completion,
  'gradients.packed': completion,
  'gate.backwarded': completion,
} as const;

export type GateEvent = EventsOf<'gate', typeof own>;
export type GateSelf = Self<'gate', typeof own>;

/** What may still come from an attempt that is over. */
export const fencedByGate = fencedKinds(messages, 'gate', own);
