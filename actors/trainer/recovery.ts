import { assert } from '@troupe/core';
import { workerRank, type WorkerRank } from '@troupe/topology/layout';
import { hearingOrder } from '../roster.ts';
import type { TrainerSelf } from './events.ts';
import type { TrainerEffects } from './machine.ts';
import { planRecovery } from './recovery-plan.ts';
import type { TrainerState } from './state.ts';

type LeavingEffects = Pick<TrainerEffects, 'reportLoss' | 'abandon' | 'abandonJoined' | 'heard'>;
type ReturningEffects = Pick<
  TrainerEffects,
  'rebuild' | 'findSnapshot' | 'restore' | 'reportRecovered' | 'failRecovery'
>;

/** Something is lost: every actor leaves the attempt. */
export function leavingEffects(self: TrainerSelf, state: TrainerState): LeavingEffects {
  const { job, company, options } = state;
  const tellFirst = (worker: WorkerRank, attempt: number): void => {
    const [first] = hearingOrder(job.layout, worker);
    if (first !== undefined) self.tell(first, 'attempt.abandon', { attempt, tensors: state.seated });
  };
  return {
    reportLoss: ({ body }, { step, attempt }) => {
      state.loss ??= { workers: new Set(), atMs: self.clock.now(), step };
      const { node: worker, sentence } = body;
      state.loss.workers.add(worker);
      // Where it goes back to is known once the shards have said what they hold; `recovered` names it.
      const message = `${sentence}; recovering`;
      options.report({ event: 'fault', message, details: { worker, step, attempt } });
    },
    abandon: (_event, { attempt, step, down, awaited }) => {
      for (const name of ['load', 'step', 'evaluation', 'checkpoint', 'move']) self.endWait(name);
      for (const node of company.nodes) if (!down.has(node)) tellFirst(node, attempt);
      self.tell(company.store, 'checkpoint.abandon', { attempt });
      state.waitFor('recovery', {
        awaited: [...awaited],
        reason:
          state.loss === null
            ? 'experts to sit in other groups'
            : `the run to recover from the loss of ${state.lostWorkers}`,
        step,
        deadlineMs: job.deadlines.recoveryMs,
      });
    },
    abandonJoined: ({ body }, { attempt }) => tellFirst(workerRank(body.worker), attempt),
    heard: ({ from }) => self.answered('recovery', from),
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
      for (const { shard, from } of plan)
        if (from !== shard) self.tell(from, 'shard.send', { attempt, version: step, body: { to: shard } });
      for (const { shard, from } of plan)
        if (from === shard) self.tell(shard, 'shard.keep', { attempt, version: step });
      const reason = 'state of lost shards';
      state.waitFor('recovery', { awaited: company.shards, reason, step, deadlineMs });
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
      for (const to of company.shards)
        self.tell(to, 'shard.restore', { attempt, version: step, body: { source } });
      const reason = 'every shard to go back to one snapshot';
      state.waitFor('recovery', { awaited: company.shards, reason, step, deadlineMs });
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
