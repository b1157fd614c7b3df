import { serializeError } from '@troupe/core';
import { jsonOf, type JournalRecord } from '@troupe/journal';
import type { StepEvent } from '@troupe/telemetry';
import { addresses, ExpertSeats, leadNode } from '@troupe/topology/layout';
import { firstSeats } from '../job.ts';
import type { TrainerSelf } from './events.ts';
import { answerOf, type TrainerEffects } from './machine.ts';
import type { TrainerState } from './state.ts';
import type { Takeover } from './takeover.ts';

type TakingOverEffects = Pick<
  TrainerEffects,
  'claim' | 'askAgents' | 'askAgain' | 'askMachine' | 'heardHolds' | 'adopt' | 'failClaim' | 'failRefused'
>;

/** A lead begins where one before it ended. */
export function takingOverEffects(self: TrainerSelf, state: TrainerState): TakingOverEffects {
  const { job, company, options } = state;
  const { step } = job.first;
  const { recoveryMs: deadlineMs } = job.deadlines;
  const asks = {
    epoch: options.takesOver?.epoch ?? 0,
    process: `${leadNode}#${options.takesOver?.epoch ?? 0}`,
  };
  const fail = (error: {
    readonly code: string;
    readonly message: string;
    readonly retryable: boolean;
  }): void => {
    self.endWait('takeover');
    options.finished({ step, loss: null, stopped: false, error });
  };
  return {
    claim: () => {
      const reason = 'the run to be claimed and its journal to be read';
      state.waitFor('takeover', { awaited: [addresses.trainer], reason, step, deadlineMs });
      const claimed = (options.takesOver?.claim() ?? Promise.resolve([])).then((records) => ({
        body: { records },
      }));
      self.settle(claimed, 'lead.claimed', 'lead.unclaimed');
    },
    askAgents: () => {
      const { all } = company.agents;
      for (const agent of all) self.tell(agent, 'lead.asks', { body: asks });
      const reason = 'what they hold, now that another lead has the run';
      state.waitFor('takeover', { awaited: all, reason, step, deadlineMs });
    },
    askAgain: (_event, { awaited }) => {
      for (const agent of company.agents.all)
        if (awaited.has(answerOf('agent.holds', agent))) self.tell(agent, 'lead.asks', { body: asks });
    },
    askMachine: ({ body: { machine } }) => self.tell(addresses.agent(machine), 'lead.asks', { body: asks }),
    heardHolds: ({ from }) => self.answered('takeover', from),
    adopt: (_event, { taken, step: decided }) => {
      self.endWait('takeover');
      if (taken !== null) adopt(state, taken);
      state.loss = { workers: new Set([leadNode]), atMs: self.clock.now(), step: decided };
      state.lossesMs.push(self.clock.now());
    },
    failClaim: ({ error }) => fail(error ?? serializeError(new Error('unknown'), addresses.trainer)),
    failRefused: ({ body: { epoch } }) =>
      fail({
        code: 'TROUPE_LEAD_REPLACED',
        message: `another process leads the run in epoch ${epoch}: an agent follows it; this one ends`,
        retryable: true,
      }),
  };
}

/** What the lead before knew, from the records that are left. */
function adopt(state: TrainerState, { record, records, saved, groups_LE }: Takeover): void {
  const { job } = state;
  state.seats = groups_LE === undefined ? firstSeats(job) : new ExpertSeats(job.layout, groups_LE);
  for (const [step, { reported }] of records)
    if (step > saved) state.reported.set(step, stepIn(reported).loss);
  if (record === null) return;
  const event = stepIn(record.reported);
  state.adamClock = record.decision.clock;
  state.lastLoss = event.loss;
  state.decided = { gradNorm: event.gradNorm, body: record.decision };
  state.record = jsonOf(record);
  state.retold = event;
}

/** The line of a step, as the lead before wrote it into the record. */
const stepIn = (reported: JournalRecord['reported']): StepEvent => reported as unknown as StepEvent;
