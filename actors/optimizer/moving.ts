import { addresses, movesFrom, type ShardPlace } from '@troupe/topology/layout';
import type { OptimizerEvent, OptimizerSelf } from './events.ts';
import type { OptimizerEffects } from './machine.ts';
import type { ShardParts } from './shard-parts.ts';

type MovingEffects = Pick<OptimizerEffects, 'moveExperts' | 'stageExperts' | 'seatExperts'>;

/** Experts move to shards of other groups: MOV-1. */
export function movingEffects(self: OptimizerSelf, { shard, memory, moving }: ShardParts): MovingEffects {
  const { layout } = shard.worker.job;
  const own: ShardPlace = { group: shard.group, worker: shard.rank };
  const answer = ({ step, attempt, version }: OptimizerEvent): void => {
    if (moving.isStaged) self.tell(addresses.trainer, 'experts.staged', { step, attempt, version });
  };
  return {
    moveExperts: (event, { version }) => {
      const { step, attempt, tensors } = event;
      const { before, after } = moving.begin(tensors.groups_LE);
      for (const { to, range, at } of moving.hasExperts ? movesFrom(own, before, after) : []) {
        const receivers = [layout.shardOf(to.group, to.worker)];
        if (layout.buddyOf(to.group, to.worker) !== null) receivers.push(layout.wardOf(to.group, to.worker));
        for (const part of memory.state(range, version)) {
          const body = { from: part.body.from - range.from + at, to: part.body.to - range.from + at };
          for (const receiver of receivers)
            if (receiver === self.address) moving.put(body, part.tensors);
            else
              self.tell(receiver, 'experts.state', { step, attempt, version, body, tensors: part.tensors });
        }
      }
      answer(event);
    },
    stageExperts: (event) => {
      moving.put(event.body, event.tensors);
      answer(event);
    },
    // The device has drained, and all that was sent has come: the places are free.
    seatExperts: (_event, { version }) => {
      for (const { from, state } of moving.enter()) memory.putState(version, from, state);
    },
  };
}
