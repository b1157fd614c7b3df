import type { ActorEvent } from '@troupe/runtime';

export interface StoreEvent extends ActorEvent {
  readonly type:
    | 'slices.read'
    | 'slice.ready'
    | 'slice.failed'
    | 'checkpoint.begin'
    | 'snapshot.slice'
    | 'snapshot.sent'
    | 'checkpoint.finished'
    | 'checkpoint.broken'
    | 'checkpoint.abandon'
    | 'checkpoint.discarded'
    | 'snapshot.find'
    | 'snapshot.opened'
    | 'snapshot.unreadable'
    | 'snapshot.release';
}
