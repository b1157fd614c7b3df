import type { ActorEvent } from '@troupe/runtime';

export interface OptimizerEvent extends ActorEvent {
  readonly type:
    | 'parameters.initialised'
    | 'slices.read'
    | 'ask.failed'
    | 'gradient.add'
    | 'gradient.added'
    | 'gradient.total'
    | 'step.open'
    | 'sums.reset'
    | 'sums.settled'
    | 'weights.spread'
    | 'norm.measured'
    | 'commit.decide'
    | 'weights.applied'
    | 'snapshot.take'
    | 'attempt.abandon'
    | 'shard.keep'
    | 'shard.send'
    | 'shard.restore'
    | 'state.slice'
    | 'ward.state'
    | 'ward.sum'
    | 'ward.kept';
}
