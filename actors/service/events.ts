import type { ActorEvent } from '@troupe/runtime';

export interface ServiceEvent extends ActorEvent {
  readonly type: 'experts.ask' | 'rows.return' | 'message.refused';
}
