import { addresses, movesFrom } from '@troupe/topology/layout';
import type { OptimizerSelf } from './events.ts';
import type { OptimizerEffects } from './machine.ts';
import type { ShardParts } from './shard-parts.ts';

type MovingEffects = Pick<OptimizerEffects, 'moveExperts' | 'stageExperts' | 'seatExperts'>;

/** Experts move to shards of other groups: MOV-1. */
export function movingEffects(self: OptimizerSelf, { shard, memory, moving }: ShardParts): MovingEffects {
  const { layout } = shard.worker.job;
  const place = { group: shard.group, worker: shard.rank };
  const own = layout.shardOf(shard.group, shard.rank);
  const answer = (attempt: number, version: number): void => {
    if (moving.isStaged) self.tell(addresses.trainer, 'experts.staged', { attempt, version });
  };
  return {
    moveExperts: ({ attempt, tensors }, { version }) => {
      const { before, after } = moving.begin(tensors.groups_LE);
      const moves = moving.hasExperts ? movesFrom(place, before, after) : [];
      for (const { to, range, at } of moves) {
        const shift = at - range.from;
        const receivers = [layout.shardOf(to.group, to.worker)];
        if (layout.buddyOf(to.group, to.worker) !== null) receivers.push(layout.wardOf(to.group, to.worker));
        for (const { body, tensors: state } of memory.state(range, version)) {
          const part = { from: body.from + shift, to: body.to + shift };
          for (const receiver of receivers)
            if (receiver === own) moving.put(part, state);
            else self.tell(receiver, 'experts.state', { attempt, version, body: part, tensors: state });
        }
      }
      answer(attempt, version);
    },
    stageExperts: ({ attempt, body, tensors }, { version }) => {
      moving.put(body, tensors);
      answer(attempt, version);
    },
    // The device has drained, and all that was sent has come: the places are free.
    seatExperts: (_event, { version }) => {
      for (const { from, state } of moving.enter()) memory.putState(version, from, state);
    },
  };
}
