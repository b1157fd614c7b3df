import type { RunOutcome } from './options.ts';
import type { TrainerSelf } from './events.ts';
import { divergence } from './divergence.ts';
import type { TrainerEffects } from './machine.ts';
import type { TrainerState } from './state.ts';

type ClosingEffects = Pick<
  TrainerEffects,
  'checkpoint' | 'reportCheckpoint' | 'failCheckpoint' | 'failDiverged' | 'finish'
>;

/** Checkpoints, and the end of a run. */
export function closingEffects(self: TrainerSelf, state: TrainerState): ClosingEffects {
  const { job, company, options } = state;
  const fail = (step: number, error: NonNullable<RunOutcome['error']>): void =>
    options.finished({ step, loss: state.lastLoss, stopped: false, error });
  return {
    checkpoint: (_event, { step, attempt, skipped, stopping, stopAfter }) => {
      const place = { step, attempt, version: step };
      const body = {
        adamClock: state.adamClock,
        numShards: company.numShards,
        // What comes behind a blow-up is no better than what it would push out.
        prunes: skipped === 0,
        isLast: stopping || step >= stopAfter,
      };
      self.tell(company.store, 'checkpoint.begin', { ...place, body, tensors: state.seated });
      for (const to of company.agents.voting) self.tell(to, 'snapshot.take', place);
      state.waitFor('checkpoint', {
        awaited: [company.store],
        reason: 'the checkpoint to be written',
        step,
        deadlineMs: job.deadlines.checkpointMs,
      });
    },
    reportCheckpoint: ({ step: saved, body }) => {
      self.endWait('checkpoint');
      for (const step of state.reported.keys()) if (step <= saved) state.reported.delete(step);
      options.report({ event: 'checkpoint', step: saved, path: body.path });
    },
    failCheckpoint: ({ body }, { step }) => {
      self.endWait('checkpoint');
      fail(step, body);
    },
    failDiverged: (_event, context) => fail(context.step, divergence(context)),
    finish: (_event, { step }) =>
      options.finished({ step, loss: state.lastLoss, stopped: step < job.stopAfter }),
  };
}
