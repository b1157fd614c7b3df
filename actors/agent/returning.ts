import { address } from '@troupe/core';
import { holdersOf, leaversOf } from '../crew.ts';
import { hearingOrder } from '../roster.ts';
import type { AgentSelf } from './events.ts';
import type { AgentEffects } from './machine.ts';
import type { AgentState } from './state.ts';

type ReturningEffects = Pick<
  AgentEffects,
  | 'awaitLoading'
  | 'reportLoaded'
  | 'heardLoaded'
  | 'moveExperts'
  | 'heardStaged'
  | 'reportStaged'
  | 'leave'
  | 'join'
  | 'heardAbandoned'
  | 'reportAbandoned'
  | 'keep'
  | 'send'
  | 'restore'
>;

/** How the actors of a machine come to a state: at the start, after a loss, and where experts move. */
export function returningEffects(self: AgentSelf, state: AgentState): ReturningEffects {
  const { job, crew, shards, holders, trainer } = state;
  const { layout } = job;
  const { loadMs, recoveryMs: deadlineMs } = job.deadlines;
  return {
    awaitLoading: () => {
      const [reason, { step }] = ['parameters to be loaded', job.first];
      state.waitFor('load', { awaited: shards, reason, step, deadlineMs: loadMs });
    },
    heardLoaded: ({ from }) => {
      self.answered('load', from);
      self.answered('recovery', from);
    },
    reportLoaded: (_event, { attempt }) => {
      self.endWait('load');
      self.endWait('recovery');
      self.tell(trainer, 'machine.loaded', { attempt });
    },
    moveExperts: ({ step, attempt, version, tensors }) => {
      for (const to of holders) self.tell(to, 'experts.move', { step, attempt, version, tensors });
      const reason = 'experts on their way to other groups';
      state.waitFor('move', { awaited: holders, reason, step, deadlineMs });
    },
    heardStaged: ({ from }) => self.answered('move', from),
    reportStaged: (_event, { step, attempt }) => {
      self.endWait('move');
      self.tell(trainer, 'machine.staged', { step, attempt });
    },
    leave: ({ step, attempt, body, tensors }) => {
      for (const name of ['load', 'step', 'evaluation', 'generation', 'move']) self.endWait(name);
      state.seated = tensors;
      for (const node of crew.nodes) {
        const [first] = hearingOrder(layout, node);
        if (body.down.includes(layout.nodeOf(node))) continue;
        state.joined.delete(layout.nodeOf(node));
        if (first !== undefined) self.tell(first, 'attempt.abandon', { attempt, tensors });
      }
      const awaited = leaversOf(crew).map((each) => each.address);
      state.waitFor('recovery', { awaited, reason: body.reason, step, deadlineMs });
    },
    join: ({ attempt, body, tensors }) => {
      const worker = crew.nodes.find((node) => node === body.worker);
      if (worker !== undefined) state.joined.delete(layout.nodeOf(worker));
      const [first] = worker === undefined ? [] : hearingOrder(layout, worker);
      if (first !== undefined) self.tell(first, 'attempt.abandon', { attempt, tensors });
    },
    heardAbandoned: ({ from }) => self.answered('recovery', from),
    reportAbandoned: (_event, { attempt, versions }) => {
      self.endWait('recovery');
      const versions_N = Int32Array.from(holdersOf(crew), (each) => versions.get(each.address) ?? -1);
      const { machine } = crew;
      self.tell(trainer, 'machine.abandoned', { attempt, body: { machine }, tensors: { versions_N } });
    },
    send: ({ attempt, version, body }) =>
      self.tell(address(body.holder), 'shard.send', { attempt, version, body }),
    keep: ({ step, attempt, version }, { versions, awaited }) => {
      for (const shard of shards)
        if (versions.get(shard) === version) self.tell(shard, 'shard.keep', { attempt, version });
      const reason = 'state of lost shards';
      state.waitFor('recovery', { awaited: [...awaited], reason, step, deadlineMs });
    },
    restore: ({ step, attempt, version, body }) => {
      for (const shard of shards) self.tell(shard, 'shard.restore', { attempt, version, body });
      const reason = 'every shard to go back to one snapshot';
      state.waitFor('recovery', { awaited: shards, reason, step, deadlineMs });
    },
  };
}
