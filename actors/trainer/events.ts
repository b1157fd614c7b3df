import type { ActorEvent } from '@troupe/runtime';

export interface TrainerEvent extends ActorEvent {
  readonly type:
    | 'shard.loaded'
    | 'batch.counted'
    | 'replica.measured'
    | 'balance.share'
    | 'gradient.vote'
    | 'commit.applied'
    | 'replica.evaluated'
    | 'checkpoint.written'
    | 'checkpoint.failed'
    | 'run.stop'
    | 'worker.lost'
    | 'worker.joined'
    | 'link.lost'
    | 'attempt.abandoned'
    | 'checkpoint.settled'
    | 'snapshot.found'
    | 'ask.failed';
}
