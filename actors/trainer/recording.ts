import { assert, type Address } from '@troupe/core';
import type { DecidedStep } from '@troupe/journal';
import { addresses, workerRank } from '@troupe/topology/layout';
import { agentFor } from '../crew.ts';
import type { TrainerContext } from './context.ts';
import type { TrainerSelf } from './events.ts';
import { stepLosses } from './losses.ts';
import { answerOf, type TrainerEffects } from './machine.ts';
import { stepEvent } from './reported-step.ts';
import type { TrainerState } from './state.ts';

type RecordingEffects = Pick<TrainerEffects, 'record' | 'send' | 'decideAgain' | 'forgetLost' | 'failRecord'>;

/** JRN-1: a decision is on the disk before anybody is told. */
export function recordingEffects(self: TrainerSelf, state: TrainerState): RecordingEffects {
  const { job, company, options } = state;
  const forget = (worker: number, attempt: number): void =>
    self.tell(agentFor(job.layout, workerRank(worker)), 'commit.forget', { attempt, body: { worker } });
  const decide = (agents: readonly Address[], { step, attempt }: TrainerContext): void => {
    const { decided, record } = state;
    const body = record === '' ? decided.body : { ...decided.body, record };
    for (const to of agents) self.tell(to, 'commit.decide', { step, attempt, version: step - 1, body });
  };
  return {
    record: (_event, context) => {
      const { step, attempt } = context;
      assert(options.record, 'decisions are recorded where there is a journal', { step });
      const reason = 'the record of the decision to be on the disk';
      const { stepMs: deadlineMs } = job.deadlines;
      state.waitFor('step', { awaited: [addresses.trainer], reason, step, deadlineMs });
      const recorded = options.record(decidedStep(state, context, self.clock.now())).then((record) => ({
        body: { record },
      }));
      self.settle(recorded, 'decision.recorded', 'decision.unrecorded', { step, attempt });
    },
    // What joined in the place of a lost worker, or machine, has no attempt yet, and takes nothing of this one.
    send: (event, context) => {
      if (event.type === 'decision.recorded') state.record = event.body.record;
      const { step, attempt, lostUnsent, machinesUnsent } = context;
      const awaited = company.agents.holding.filter(
        (agent) => ![...machinesUnsent].some((machine) => addresses.agent(machine) === agent),
      );
      decide(awaited, context);
      for (const worker of lostUnsent) forget(worker, attempt);
      const { stepMs: deadlineMs } = job.deadlines;
      state.waitFor('step', { awaited, reason: 'the decision to be applied', step, deadlineMs });
    },
    decideAgain: (_event, context) => {
      const isAwaited = (agent: Address): boolean => context.awaited.has(answerOf('machine.applied', agent));
      decide(company.agents.holding.filter(isAwaited), context);
    },
    forgetLost: ({ body: { worker } }, { attempt }) => forget(worker, attempt),
    failRecord: ({ error }, { step }) => {
      self.endWait('step');
      const { code, message, retryable } = error ?? {
        code: 'TROUPE_UNKNOWN',
        message: 'unknown',
        retryable: false,
      };
      const reason = { code, message: `step ${step} is decided, and not recorded: ${message}`, retryable };
      options.finished({ step: step - 1, loss: state.lastLoss, stopped: false, error: reason });
    },
  };
}

function decidedStep(
  state: TrainerState,
  { step, attempt, replayed, votes }: TrainerContext,
  nowMs: number,
): DecidedStep {
  const { job, ledger, decided } = state;
  const counted = state.tokensOf(step);
  const seconds = (nowMs - state.openedAtMs) / 1000;
  const losses = stepLosses(job, ledger, counted);
  return {
    attempt,
    step,
    replayed,
    decision: decided.body,
    sums: {
      norm: votes.normSum,
      loss: ledger.lossSum,
      layers: ledger.lossSums,
      dropped: ledger.numDropped,
    },
    reported: { ...stepEvent(state, { step, seconds, counted, losses }) },
    seats: seatsOf(state),
    lossAgesMs: state.lossesMs.map((ms) => nowMs - ms),
  };
}

/** By layer; null where experts sit as the layout has them. */
function seatsOf({ job, seated: { groups_LE } }: TrainerState): DecidedStep['seats'] {
  if (groups_LE === undefined) return null;
  const experts = job.model.moe?.experts ?? 1;
  return Array.from({ length: groups_LE.length / experts }, (_, layer) => [
    ...groups_LE.subarray(layer * experts, (layer + 1) * experts),
  ]);
}
