import { assert } from '@troupe/core';
import type { AgentSelf } from './events.ts';
import type { AgentEffects } from './machine.ts';
import type { AgentState } from './state.ts';

type SteppingEffects = Pick<
  AgentEffects,
  | 'openStep'
  | 'countKernels'
  | 'recordVote'
  | 'reportVotes'
  | 'recordMeasure'
  | 'reportMeasures'
  | 'recordShare'
  | 'reportShares'
  | 'passBalance'
  | 'endStep'
  | 'decide'
  | 'forget'
  | 'heardApplied'
  | 'reportApplied'
  | 'takeSnapshot'
>;

/** A step on one machine, from its opening to what its shards have made of the decision. */
export function steppingEffects(self: AgentSelf, state: AgentState): SteppingEffects {
  const { job, crew, shards, stages, holders, trainer } = state;
  const { stepMs: deadlineMs } = job.deadlines;
  return {
    openStep: ({ step, attempt, version, body }) => {
      state.ledger = state.newLedger();
      for (const each of state.counts.keys()) if (each <= step) state.counts.delete(each);
      const awaited = [...shards, ...stages];
      for (const to of awaited) self.tell(to, 'step.open', { step, attempt, version, body });
      state.waitFor('step', { awaited, reason: 'votes and measurements', step, deadlineMs });
    },
    countKernels: ({ body }) => {
      state.kernelMs += body.kernelMs;
    },
    recordVote: ({ from }) => self.answered('step', from),
    reportVotes: (_event, { step, attempt, votes }) => {
      const { normSum: norm128, overflow } = votes;
      const body = { overflow, kernelMs: state.takeKernelMs() };
      self.tell(trainer, 'machine.voted', { step, attempt, tensors: { norm128 }, body });
    },
    recordMeasure: ({ from, body, tensors }) => {
      const share = state.shareOf(from);
      assert(share, 'only stages measure', { from });
      state.ledger.compareAlike(share, body.alike);
      state.ledger.addLosses(share, tensors);
      state.kernelMs += body.kernelMs;
      self.answered('step', from);
    },
    reportMeasures: (_event, { step, attempt }) => {
      const { ledger, peerRows } = state;
      const alike_N = Float64Array.from(peerRows, (peers) => ledger.digestOf(peers));
      const tensors = { ...ledger.measured, ...(peerRows.length === 0 ? {} : { alike_N }) };
      const body = { kernelMs: state.takeKernelMs() };
      self.tell(trainer, 'machine.measured', { step, attempt, tensors, body });
    },
    recordShare: ({ from, tensors }) => {
      const share = state.shareOf(from);
      assert(share, 'only stages share choices', { from });
      state.ledger.addChoices(share, tensors.counts_LE);
    },
    reportShares: (_event, { step, attempt }) => {
      const counts_LE = state.ledger.sharedChoices;
      self.tell(trainer, 'machine.balanced', { step, attempt, tensors: { counts_LE } });
    },
    passBalance: ({ step, attempt, tensors }) => {
      for (const stage of stages) self.tell(stage, 'balance.shared', { step, attempt, tensors });
    },
    endStep: () => self.endWait('step'),
    decide: ({ step, attempt, version, body: { record: _record, ...body } }) => {
      for (const to of holders) self.tell(to, 'commit.decide', { step, attempt, version, body });
      const reason = 'the decision to be applied';
      state.waitFor('step', { awaited: holders, reason, step, deadlineMs });
    },
    forget: ({ body }) => {
      for (const { address, worker } of [...crew.shards, ...crew.wards])
        if (worker === body.worker) self.answered('step', address);
    },
    heardApplied: ({ from }) => self.answered('step', from),
    reportApplied: (_event, { step, attempt }) => {
      self.endWait('step');
      self.tell(trainer, 'machine.applied', { step, attempt, version: step });
    },
    takeSnapshot: ({ step, attempt, version }) => {
      for (const to of shards) self.tell(to, 'snapshot.take', { step, attempt, version });
    },
  };
}
