import type { TrainerContext } from './context.ts';
import type { TrainerSelf } from './events.ts';
import type { TrainerEffects } from './machine.ts';
import type { TrainerState } from './state.ts';

type OpeningEffects = Pick<TrainerEffects, 'start' | 'recordCount' | 'open' | 'replay'>;

/** Steps open, and open again. */
export function openingEffects(self: TrainerSelf, state: TrainerState): OpeningEffects {
  const { job, company, options } = state;
  let hasOpened = false;
  const open = ({ step, attempt }: TrainerContext): void => {
    state.ledger = state.newLedger();
    state.openings = { step, count: state.openings.step === step ? state.openings.count + 1 : 1 };
    const body = state.tokensOf(step);
    const awaited = company.stepping;
    for (const to of awaited) self.tell(to, 'step.open', { step, attempt, version: step - 1, body });
    const { stepMs } = job.deadlines;
    state.waitFor('step', { awaited, reason: 'votes and measurements', step, deadlineMs: stepMs });
  };
  return {
    start: () => {
      const { step } = job.first;
      state.waitFor('load', {
        awaited: company.agents.voting,
        reason: 'parameters to be loaded',
        step,
        deadlineMs: job.deadlines.loadMs,
      });
      if (step < job.stopAfter) state.prefetch(step + 1);
    },
    recordCount: ({ step, from, body }) => state.count(step, from, body),
    open: (_event, context) => {
      self.endWait('load');
      if (!hasOpened) options.opened?.();
      hasOpened = true;
      state.openedAtMs = self.clock.now();
      open(context);
      if (context.step < job.stopAfter) state.prefetch(context.step + 1);
    },
    replay: (_event, context) => {
      options.report({
        event: 'fault',
        message: `step ${context.step} had a non-finite gradient; replaying it`,
        details: { step: context.step },
      });
      open(context);
    },
  };
}
