import type { ActorEvent } from '@troupe/runtime';

export interface ExpertEvent extends ActorEvent {
  readonly type:
    | 'weights.publish'
    | 'rows.dispatch'
    | 'experts.forwarded'
    | 'gradients.dispatch'
    | 'experts.backwarded'
    | 'attempt.abandon';
}
