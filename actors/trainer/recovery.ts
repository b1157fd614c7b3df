import { assert, type Address } from '@troupe/core';
import { addresses, workerRank } from '@troupe/topology/layout';
import { agentFor } from '../crew.ts';
import type { TrainerContext } from './context.ts';
import type { TrainerSelf } from './events.ts';
import type { TrainerEffects } from './machine.ts';
import { planRecovery } from './recovery-plan.ts';
import type { TrainerState } from './state.ts';

type LeavingEffects = Pick<
  TrainerEffects,
  'reportLoss' | 'abandon' | 'abandonJoined' | 'abandonMachine' | 'heard' | 'reportSaved'
>;
type ReturningEffects = Pick<
  TrainerEffects,
  'rebuild' | 'findSnapshot' | 'restore' | 'reportRecovered' | 'failRecovery'
>;

/** Losses whose ages are recorded with a decision. */
const MOST_LOSSES = 64;

/** Something is lost: every actor leaves the attempt. */
export function leavingEffects(self: TrainerSelf, state: TrainerState): LeavingEffects {
  const { job, company, options } = state;
  const reasonToLeave = (): string =>
    state.loss === null
      ? 'experts to sit in other groups'
      : `the run to recover from the loss of ${state.lostWorkers}`;
  const isDown = (agent: Address, { downMachines }: TrainerContext): boolean =>
    [...downMachines].some((machine) => addresses.agent(machine) === agent);
  const tellToLeave = (agent: Address, { step, attempt, down }: TrainerContext): void => {
    const body = {
      reason: reasonToLeave(),
      down: Array.from(down, (node) => job.layout.nodeOf(workerRank(node))),
    };
    self.tell(agent, 'attempt.leave', { step, attempt, body, tensors: state.seated });
  };
  return {
    reportLoss: ({ body }, { step, attempt }) => {
      state.loss ??= { workers: new Set(), atMs: self.clock.now(), step };
      const { node: worker, sentence } = body;
      state.loss.workers.add(worker);
      state.lossesMs.push(self.clock.now());
      if (state.lossesMs.length > MOST_LOSSES) state.lossesMs.shift();
      // Where it goes back to is known once the shards have said what they hold; `recovered` names it.
      const message = `${sentence}; recovering`;
      options.report({ event: 'fault', message, details: { worker, step, attempt } });
    },
    abandon: (_event, context) => {
      const { attempt, step } = context;
      for (const name of ['load', 'step', 'evaluation', 'generation', 'checkpoint', 'move'])
        self.endWait(name);
      const reason = reasonToLeave();
      const { all } = company.agents;
      for (const to of all) if (!isDown(to, context)) tellToLeave(to, context);
      self.tell(company.store, 'checkpoint.abandon', { attempt });
      const awaited = [...all, company.store];
      state.waitFor('recovery', { awaited, reason, step, deadlineMs: job.deadlines.recoveryMs });
    },
    abandonMachine: ({ body }, context) => tellToLeave(addresses.agent(body.machine), context),
    abandonJoined: ({ body: { worker } }, { attempt }) =>
      self.tell(agentFor(job.layout, workerRank(worker)), 'attempt.join', {
        attempt,
        body: { worker },
        tensors: state.seated,
      }),
    heard: ({ from }) => self.answered('recovery', from),
    // The lead before may have been lost before it heard of the checkpoint.
    reportSaved: ({ body: { saved, path } }, { taken }) => {
      if (taken !== null && saved > 0) options.report({ event: 'checkpoint', step: saved, path });
    },
  };
}

/** Every shard gets its state back, and the run goes on. */
export function returningEffects(self: TrainerSelf, state: TrainerState): ReturningEffects {
  const { job, company, options } = state;
  const { recoveryMs: deadlineMs } = job.deadlines;
  return {
    rebuild: (_event, context) => {
      const { step, attempt } = context;
      const plan = planRecovery(job.layout, context.versions, step);
      assert(plan, 'the machine rebuilds what can be rebuilt', { step });
      state.source = 'peers';
      // A shard that keeps what it has goes on at once, so it sends first.
      for (const { shard, from, home } of plan) {
        if (from === shard) continue;
        const body = { holder: from, to: shard };
        self.tell(agentFor(job.layout, home), 'shard.send', { attempt, version: step, body });
      }
      const { voting } = company.agents;
      for (const to of voting) self.tell(to, 'shard.keep', { step, attempt, version: step });
      const reason = 'state of lost shards';
      state.waitFor('recovery', { awaited: voting, reason, step, deadlineMs });
    },
    findSnapshot: (_event, { attempt, step }) => {
      const reason = 'the newest snapshot, for all to go back to';
      state.waitFor('recovery', { awaited: [company.store], reason, step, deadlineMs });
      const options = { deadlineMs, reason: 'the newest snapshot' };
      self.ask(company.store, 'snapshot.find', { attempt, step }, options);
    },
    restore: ({ body }, { attempt, step }) => {
      state.adamClock = body.adamClock;
      state.load_LE.fill(0);
      const source = body.exists ? 'snapshot' : 'seed';
      state.source = source;
      const { voting } = company.agents;
      for (const to of voting)
        self.tell(to, 'shard.restore', { step, attempt, version: step, body: { source } });
      const reason = 'every shard to go back to one snapshot';
      state.waitFor('recovery', { awaited: voting, reason, step, deadlineMs });
    },
    reportRecovered: (_event, { step, attempt, stopAfter }) => {
      const { loss, source, moved } = state;
      self.endWait('recovery');
      if (moved !== null) reportMoved(self, state, moved, step);
      if (loss === null) {
        assert(moved, 'an attempt follows a loss, or experts that move', { step });
        return;
      }
      self.tell(company.store, 'snapshot.release');
      options.report({
        event: 'recovered',
        step: step + 1,
        attempt,
        worker: state.lostWorkers,
        ms: self.clock.now() - loss.atMs,
        from: source,
        repeatedSteps: Math.max(0, loss.step - step),
      });
      state.loss = null;
      if (step < stopAfter) state.prefetch(step + 1);
    },
    failRecovery: ({ error }, { step }) => {
      const lost = {
        code: 'TROUPE_WORKER_LOST',
        message: `${state.lostWorkers} was lost with state that no other worker holds, and there is no snapshot to go back to`,
        retryable: true,
      };
      options.finished({ step, loss: state.lastLoss, stopped: false, error: error ?? lost });
    },
  };
}

function reportMoved(
  self: TrainerSelf,
  state: TrainerState,
  { gain, numMoved, atMs }: NonNullable<TrainerState['moved']>,
  step: number,
): void {
  state.moved = null;
  state.options.report({ event: 'experts', step, moved: numMoved, gain, ms: self.clock.now() - atMs });
}
