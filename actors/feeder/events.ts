import type { ActorEvent } from '@troupe/runtime';

export interface FeederEvent extends ActorEvent {
  readonly type:
    'batch.prefetch' | 'evaluation.prefetch' | 'step.loaded' | 'evaluation.loaded' | 'source.failed';
}
