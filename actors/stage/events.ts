import type { ActorEvent } from '@troupe/runtime';

export interface StageEvent extends ActorEvent {
  readonly type:
    | 'weights.publish'
    | 'batch.ready'
    | 'evaluation.ready'
    | 'step.open'
    | 'evaluation.open'
    | 'attention.forwarded'
    | 'attention.backwarded'
    | 'head.finished'
    | 'embedding.backwarded'
    | 'forward.done'
    | 'rows.left'
    | 'backward.done'
    | 'balance.shared'
    | 'attempt.abandon';
}
