import type { Address } from '@troupe/core';
import { movesFrom, type ExpertMove, type ShardPlace } from '@troupe/topology/layout';
import { agentFor } from '../crew.ts';
import { packedParts, type MovedPart } from '../moved-parts.ts';
import type { OptimizerEvent, OptimizerSelf } from './events.ts';
import type { OptimizerEffects } from './machine.ts';
import type { ShardMemory } from './shard-memory.ts';
import type { ShardParts } from './shard-parts.ts';

type MovingEffects = Pick<OptimizerEffects, 'moveExperts' | 'stageExperts' | 'seatExperts'>;

/** What of the state moves, by where it lies for its receiver. */
function* movedParts(
  memory: ShardMemory,
  version: number,
  moves: readonly ExpertMove[],
): Generator<MovedPart> {
  for (const { range, at } of moves)
    for (const { body, tensors: state } of memory.state(range, version)) {
      const shift = at - range.from;
      yield { range: { from: body.from + shift, to: body.to + shift }, state };
    }
}

/** Experts move to shards of other groups: MOV-1. */
export function movingEffects(self: OptimizerSelf, { shard, memory, moving }: ShardParts): MovingEffects {
  const { layout } = shard.worker.job;
  const agent = agentFor(layout, shard.worker.rank);
  const own: ShardPlace = { group: shard.group, worker: shard.rank };
  const answer = ({ step, attempt, version }: OptimizerEvent): void => {
    if (moving.isStaged) self.tell(agent, 'experts.staged', { step, attempt, version });
  };
  /** The shard that has experts next, and its copy. */
  const receiversOf = ({ group, worker }: ShardPlace): readonly Address[] => [
    layout.shardOf(group, worker),
    ...(layout.buddyOf(group, worker) === null ? [] : [layout.wardOf(group, worker)]),
  ];
  return {
    moveExperts: (event, { version }) => {
      const { step, attempt, tensors } = event;
      const { before, after } = moving.begin(tensors.groups_LE);
      const moves = moving.hasExperts ? movesFrom(own, before, after) : [];
      for (const [receivers, each] of byReceivers(moves, receiversOf))
        for (const parts of packedParts(movedParts(memory, version, each)))
          for (const to of receivers)
            if (to === self.address) moving.put(parts);
            else self.tell(to, 'experts.state', { step, attempt, version, tensors: { ...parts } });
      answer(event);
    },
    stageExperts: (event) => {
      moving.put(event.tensors);
      answer(event);
    },
    // The device has drained, and all that was sent has come: the places are free.
    seatExperts: (_event, { version }) => {
      for (const { range, state } of moving.enter()) memory.putState(version, range.from, state);
    },
  };
}

/** Moves to one shard go together. */
function byReceivers(
  moves: readonly ExpertMove[],
  receiversOf: (to: ShardPlace) => readonly Address[],
): readonly (readonly [readonly Address[], readonly ExpertMove[]])[] {
  const found = new Map<number, ExpertMove[]>();
  for (const move of moves) found.set(move.to.worker, [...(found.get(move.to.worker) ?? []), move]);
  return [...found.values()].flatMap((each) => {
    const [first] = each;
    return first === undefined ? [] : [[receiversOf(first.to), each] as const];
  });
}
