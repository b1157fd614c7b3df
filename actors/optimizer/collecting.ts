import type { KernelCall } from '@troupe/kernel-set';
import { assert } from '@troupe/core';
import { addresses } from '@troupe/topology/layout';
import { assertWithin, lengthOf, sendLeaves } from '../gradients.ts';
import type { OptimizerEffects } from './machine.ts';
import type { ShardParts } from './shard-parts.ts';
import type { OptimizerEvent, OptimizerSelf } from './events.ts';

type CollectingEffects = Pick<
  OptimizerEffects,
  | 'reset'
  | 'add'
  | 'setAside'
  | 'takeUp'
  | 'abandon'
  | 'settle'
  | 'passOn'
  | 'shareTotal'
  | 'acceptTotal'
  | 'measureNorm'
  | 'vote'
>;

/** From the leaves of a step to the vote of the shard that has summed them up. */
export function collectingEffects(self: OptimizerSelf, parts: ShardParts): CollectingEffects {
  const { shard, memory, distribution } = parts;
  const { worker, buffers } = shard;
  const { device, job } = worker;
  const { gradients, among } = buffers;
  /** What came too early. */
  const aside: OptimizerEvent[] = [];
  return {
    setAside: (event) => {
      aside.push(event);
    },
    takeUp: () => {
      for (const event of aside.splice(0)) self.takeUp(event);
    },
    abandon: ({ attempt }) => {
      worker.abandon(self, attempt);
      aside.length = 0;
    },
    reset: (_event, { attempt }) => {
      worker.enter(attempt);
      self.submit(device, gradients.reset(), 'sums.reset', { attempt });
    },
    add: ({ step, attempt, body, tensors }) => {
      const part = among.exchange.part(body.level + 1);
      assertWithin(body, part, 'what is added is of the part that this shard completes (EXP-2)');
      if (tensors.leaves === undefined) return;
      assert(tensors.leaves.length === lengthOf(body), 'as many leaves as their range has elements', body);
      const call: KernelCall = {
        op: 'sum.add',
        sum: gradients.sum(body.from, body.to),
        other: device.upload(tensors.leaves),
        otherOverflow: body.overflow,
      };
      self.submit(device, [call], 'gradient.added', { step, attempt });
    },
    // Behind all that the device still has to add, so that what is passed on is the sum.
    settle: (_event, { attempt, version }) =>
      self.submit(device, [], 'sums.settled', { step: version + 1, attempt }),
    passOn: ({ step, attempt }, { level }) =>
      sendLeaves(self, { worker, buffers }, level, { ...among.exchange.part(level), step, attempt }),
    shareTotal: ({ step, attempt }) => {
      if (job.layout.zero === 0) distribution.shareTotal({ step, attempt });
    },
    acceptTotal: ({ step, attempt, body, tensors }) => {
      device.write(gradients.sum(body.from, body.to).values, tensors.sums);
      distribution.acceptTotal(body, { step, attempt });
    },
    measureNorm: (_event, { version, attempt }) =>
      self.submit(device, memory.measure(), 'norm.measured', { step: version + 1, attempt }),
    vote: (_event, { version, attempt }) => {
      self.tell(addresses.trainer, 'gradient.vote', {
        step: version + 1,
        attempt,
        tensors: { norm128: memory.norm() },
        body: { overflow: device.read(gradients.overflow)[0] !== 0 },
      });
    },
  };
}
