import { fencedKinds, ownEvent } from '@troupe/runtime';
import { messages, type EventsOf, type Self } from '../messages.ts';

const own = {
  'slice.copied': ownEvent({ fenced: true }),
  'device.drained': ownEvent({ fenced: true }),
} as const;

export type CourierEvent = EventsOf<'courier', typeof own>;
export type CourierSelf = Self<'courier', typeof own>;

/** What may still come from an attempt that is over. */
export const fencedByCourier = fencedKinds(messages, 'courier', own);
