import { assert } from '@troupe/core';
import { agentFor } from '../crew.ts';
import { sendLeaves } from '../gradients.ts';
import { guardPart } from './guarding.ts';
import type { OptimizerEffects } from './machine.ts';
import type { ShardParts } from './shard-parts.ts';
import type { OptimizerEvent, OptimizerSelf } from './events.ts';

type CollectingEffects = Pick<
  OptimizerEffects,
  | 'reset'
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
  const { shard, memory, distribution, levels } = parts;
  const { worker, among } = shard;
  const { device, job } = worker;
  const agent = agentFor(job.layout, worker.rank);
  /** What came too early. */
  const aside: OptimizerEvent[] = [];
  return {
    setAside: (event) => {
      aside.push(event);
    },
    takeUp: () => {
      for (const event of aside.splice(0)) self.takeUp(event);
    },
    abandon: ({ attempt, tensors }) => {
      worker.abandon(self, attempt, tensors.groups_LE);
      aside.length = 0;
    },
    reset: (_event, { attempt }) => {
      worker.enter(attempt);
      levels?.abandon();
      self.submit(device, memory.sums.reset(), 'sums.reset', { attempt });
    },
    // Behind all that the device still has to add, so that what is passed on is the sum.
    settle: (_event, { attempt, version }) =>
      self.submit(device, [], 'sums.settled', { step: version + 1, attempt }),
    passOn: ({ step, attempt }, { level }) => {
      const { beside: buffers } = shard;
      assert(buffers, 'sums that lie with readers are passed on from there', { level });
      const holding = { worker, buffers };
      sendLeaves(self, holding, level, { ...among.exchange.part(level), step, attempt });
    },
    shareTotal: ({ step, attempt }) => {
      if (job.layout.zero === 0) distribution.shareTotal({ step, attempt });
    },
    acceptTotal: ({ step, attempt, body, tensors }) => {
      device.write(memory.sums.sum(body.from, body.to).values, tensors.sums);
      distribution.acceptTotal(body, { step, attempt });
      guardPart(self, parts, body, { step, attempt });
    },
    measureNorm: (_event, { version, attempt }) =>
      self.submit(device, memory.measure(), 'norm.measured', { step: version + 1, attempt }),
    vote: (_event, { version, attempt }) => {
      self.tell(agent, 'gradient.vote', {
        step: version + 1,
        attempt,
        tensors: { norm128: memory.norm() },
        body: { overflow: device.read(memory.sums.overflow)[0] !== 0 },
      });
    },
  };
}
