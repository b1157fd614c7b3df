import type { ActorEvent } from '@troupe/runtime';

export interface SupervisorEvent extends ActorEvent {
  readonly type:
    | 'worker.lost'
    | 'worker.stuck'
    | 'actor.failed'
    | 'system.described'
    | 'ask.failed'
    | 'heartbeat.due'
    | 'run.finished';
}
