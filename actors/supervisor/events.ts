import type { ActorEvent } from '@troupe/runtime';

export interface SupervisorEvent extends ActorEvent {
  readonly type:
    | 'worker.lost'
    | 'worker.joined'
    | 'link.lost'
    | 'message.refused'
    | 'worker.stuck'
    | 'actor.failed'
    | 'system.described'
    | 'ask.failed'
    | 'run.finished'
    | 'join.due'
    | 'loss.aged'
    | 'break.aged';
}
