import { fencedKinds, field, ownEvent, tensor } from '@troupe/runtime';
import { messages, type EventsOf, type Self } from '../messages.ts';

const { flag, number, text } = field;
const { floats } = tensor;
/** Which request an answer is to; those of the disk come as `microbatch` of the event. */
const own = {
  'slice.ready': ownEvent({ tensors: { weights: floats, first: floats, second: floats } }),
  'slice.failed': ownEvent(),
  'checkpoint.finished': ownEvent({ body: { path: text } }),
  'checkpoint.broken': ownEvent(),
  'checkpoint.discarded': ownEvent(),
  'snapshot.opened': ownEvent({ body: { exists: flag, adamClock: number } }),
  'snapshot.unreadable': ownEvent(),
} as const;

export type StoreEvent = EventsOf<'store', typeof own>;
export type StoreSelf = Self<'store', typeof own>;

/** One kind of what a store accepts. */
export type StoreEventOf<K extends StoreEvent['type']> = Extract<StoreEvent, { readonly type: K }>;

/** What may still come from an attempt that is over. */
export const fencedByStore = fencedKinds(messages, 'store', own);
