import { address, assert } from '@troupe/core';
import { type ShardPlace } from '@troupe/topology/layout';
import { agentFor } from '../crew.ts';
import { chunksOf } from '../gradients.ts';
import { MovingExperts } from '../moving-experts.ts';
import type { Worker } from '../worker.ts';
import type { WardEvent, WardSelf } from './events.ts';
import type { WardEffects } from './machine.ts';
import type { WardMemory } from './ward-memory.ts';

/** What a copy keeps, says that it keeps, and does with it. */
export function wardEffects(
  self: WardSelf,
  worker: Worker,
  { group, worker: owner }: ShardPlace,
  memory: WardMemory,
): WardEffects {
  const { layout } = worker.job;
  const shard = layout.shardOf(group, owner);
  const agent = agentFor(layout, worker.rank);
  const acknowledge = (part: Extract<WardEvent, { readonly type: 'ward.state' | 'ward.sum' }>): void => {
    const { step, version, attempt, body } = part;
    assert(body.group === group.name, 'a copy is of one shard', { kept: group.name, sent: body.group });
    self.tell(shard, 'ward.kept', { step, version, attempt, body: { from: body.from, to: body.to } });
  };
  const moving = new MovingExperts(worker, { group, worker: owner });
  const answer = ({ step, attempt, version }: WardEvent): void => {
    if (moving.isStaged) self.tell(agent, 'experts.staged', { step, attempt, version });
  };
  const aside: WardEvent[] = [];
  return {
    setAside: (event) => {
      aside.push(event);
    },
    takeUp: () => {
      for (const event of aside.splice(0)) self.takeUp(event);
    },
    keepState: (event) => {
      memory.keepState(event.body.from, event.tensors);
      moving.settle();
      acknowledge(event);
    },
    keepSum: (event) => {
      memory.keepSum(event.body.from, event.body.kind, event.tensors.sums);
      acknowledge(event);
    },
    apply: ({ step, attempt, body: { apply, ...rates } }, { copy }) => {
      assert(step === copy.version + 1, 'a decision is about the step after what a copy holds (BUD-2)', {
        step,
        version: copy.version,
      });
      const calls = apply ? memory.updates(worker.job.optimizer, rates) : [];
      self.submit(worker.device, calls, 'weights.applied', { step, attempt });
    },
    reportApplied: ({ step, attempt }, { copy: { version } }) =>
      self.tell(agent, 'commit.applied', { step, attempt, version }),
    abandon: ({ attempt, tensors }) => {
      worker.abandon(self, attempt, tensors.groups_LE);
      for (const { range, state } of moving.enter()) memory.keepState(range.from, state);
    },
    moveExperts: (event) => {
      moving.begin(event.tensors.groups_LE);
      answer(event);
    },
    stageExperts: (event) => {
      moving.put(event.tensors);
      answer(event);
    },
    reportAbandoned: ({ attempt }, { copy: { version } }) =>
      self.tell(agent, 'attempt.abandoned', {
        attempt,
        version: Math.max(0, version),
        body: { loaded: version >= 0 && moving.holds },
      }),
    sendState: ({ version, attempt, body: { to } }) => {
      for (const body of chunksOf(memory.owns))
        self.tell(address(to), 'state.slice', { version, attempt, body, tensors: memory.state(body) });
    },
  };
}
