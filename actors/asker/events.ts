import type { ActorEvent } from '@troupe/runtime';

export interface AskerEvent extends ActorEvent {
  readonly type: 'question.put' | 'experts.answered' | 'ask.failed' | 'service.lost';
}
