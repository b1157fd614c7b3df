import { address, assert } from '@troupe/core';
import type { KernelCall } from '@troupe/kernel-set';
import { sendBucket } from '../bucket-parts.ts';
import { assertWithin, lengthOf } from '../gradients.ts';
import type { OptimizerEvent, OptimizerSelf } from './events.ts';
import type { LevelSum } from './level-sums.ts';
import type { OptimizerEffects } from './machine.ts';
import type { ShardParts } from './shard-parts.ts';

type AddingEffects = Pick<OptimizerEffects, 'add' | 'answerAdded' | 'freeSum'>;
type Added = Extract<OptimizerEvent, { readonly type: 'gradient.add' | 'gradient.added' | 'gradient.taken' }>;

/** Leaves and sums of groups are added as they come; those of buckets are answered. */
export function addingEffects(self: OptimizerSelf, { shard, memory, levels }: ShardParts): AddingEffects {
  const { worker } = shard;
  const { device } = worker;
  const { exchange } = shard.among;
  const isLast = ({ body }: Added): boolean => body.level === exchange.numLevels - 1;
  const sumOf = (event: Added, level: number): LevelSum => {
    assert(levels, 'the sum of a group is a bucket where gradients come in buckets', { level });
    const { step, microbatch, body } = event;
    const completes = { ...exchange.part(level + 1), members: exchange.group(level).length };
    return levels.of({ ...body, level, step, microbatch }, completes);
  };
  /** A group's sum is complete: it goes on. */
  const passOn = (sum: LevelSum, { step, attempt, microbatch, body: { level } }: Added): void => {
    const bucket = { from: sum.from, to: sum.to, ...sum.sum, step, attempt, microbatch };
    sum.awaited = sendBucket(self, { worker, share: shard }, level + 1, bucket);
  };
  /** Those of the next level have it: its memory is free, and so is that of the buckets in it. */
  const free = (sum: LevelSum, { step, attempt, microbatch }: Added): void => {
    for (const { from, part } of sum.arrivals.splice(0))
      self.tell(from, 'gradient.taken', {
        step,
        attempt,
        microbatch,
        body: { from: part.from, to: part.to, level: part.level },
      });
    levels?.free(sum);
  };
  return {
    add: (event) => {
      const { from, step, attempt, microbatch, body, tensors } = event;
      assertWithin(
        body,
        exchange.part(body.level + 1),
        'what is added is of the part that this shard completes (EXP-2)',
      );
      if (tensors.leaves === undefined) return;
      assert(tensors.leaves.length === lengthOf(body), 'as many leaves as their range has elements', body);
      const group = levels !== null && !isLast(event) ? sumOf(event, body.level) : null;
      const sum =
        group === null
          ? memory.sums.sum(body.from, body.to)
          : {
              ...group.sum,
              values: group.sum.values.subarray(body.from - group.from, body.to - group.from),
            };
      const isFirst = group?.arrivals.length === 0;
      group?.arrivals.push({ from, part: { ...body, step, microbatch } });
      const calls: readonly KernelCall[] = [
        ...(isFirst ? [{ op: 'sum.reset' as const, sum: group.sum }] : []),
        { op: 'sum.add', sum, other: device.upload(tensors.leaves), otherOverflow: body.overflow },
      ];
      const added = { from: body.from, to: body.to, level: body.level, sender: from };
      self.submit(device, calls, 'gradient.added', { step, attempt, microbatch, body: added });
    },
    answerAdded: (event) => {
      if (levels === null) return;
      const { step, attempt, microbatch, body } = event;
      if (isLast(event)) {
        const taken = { from: body.from, to: body.to, level: body.level };
        self.tell(address(body.sender), 'gradient.taken', { step, attempt, microbatch, body: taken });
        return;
      }
      const sum = sumOf(event, body.level);
      sum.added += lengthOf(body);
      if (sum.added === sum.expected) passOn(sum, event);
    },
    freeSum: (event) => {
      const sum = sumOf(event, event.body.level - 1);
      assert(sum.awaited > 0, 'a part of a sum is answered once (GRD-4)', { key: sum.key });
      sum.awaited--;
      if (sum.awaited === 0) free(sum, event);
    },
  };
}
