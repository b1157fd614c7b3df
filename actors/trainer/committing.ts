import { assert, type Address } from '@troupe/core';
import { moeLayers } from '@troupe/spec';
import type { TrainerContext } from './context.ts';
import type { TrainerSelf } from './events.ts';
import { stepLosses } from './losses.ts';
import { answerOf, type TrainerEffects } from './machine.ts';
import { stepEvent, type MeasuredStep } from './reported-step.ts';
import type { TrainerState } from './state.ts';
import { normOf } from '../votes.ts';

type CommittingEffects = Pick<
  TrainerEffects,
  'recordMeasure' | 'shareBalance' | 'recordVote' | 'decide' | 'heardApplied' | 'report'
>;

/** A machine has answered when it has both voted and measured. */
const hasAnswered = (awaited: TrainerContext['awaited'], agent: Address): boolean =>
  !(['machine.voted', 'machine.measured'] as const).some((kind) => awaited.has(answerOf(kind, agent)));

/** From measures and votes to one decision, and to what people read of the step. */
export function committingEffects(self: TrainerSelf, state: TrainerState): CommittingEffects {
  const { job, company, options } = state;
  return {
    recordMeasure: ({ from, body, tensors }, { awaited }) => {
      const share = company.shareOf(from);
      state.ledger.addLosses(share, tensors);
      state.ledger.kernelMs += body.kernelMs;
      if (tensors.alike_N !== undefined)
        for (const [at, peers] of company.peerRowsOf(from).entries())
          state.ledger.compareAlike({ ...share, peers }, tensors.alike_N[at] ?? Number.NaN);
      if (hasAnswered(awaited, from)) self.answered('step', from);
    },
    // Every forward pass comes before the first backward pass, so whoever waits for all stages waits for the last one.
    shareBalance: ({ from, tensors }, { step, attempt }) => {
      const { ledger } = state;
      ledger.addChoices(company.shareOf(from), tensors.counts_LE);
      const { computing } = company.agents;
      if (ledger.numShared < computing.length) return;
      const counts_LE = ledger.sharedChoices;
      for (const agent of computing)
        self.tell(agent, 'balance.shared', { step, attempt, tensors: { counts_LE } });
    },
    recordVote: ({ from, body }, { awaited }) => {
      state.ledger.kernelMs += body.kernelMs;
      if (hasAnswered(awaited, from)) self.answered('step', from);
    },
    decide: (_event, { step, votes, awaited }) => {
      assert(awaited.size === 0, 'a step is decided when all have voted and measured (TRN-1)', { step });
      const gradNorm = normOf(votes);
      const apply = !votes.overflow;
      const learningRate = job.learningRate(step);
      if (apply) state.adamClock++;
      const { clip } = job.optimizer;
      const body = {
        apply,
        gradScale: clip > 0 && apply ? Math.min(1, clip / (gradNorm + 1e-6)) : 1,
        learningRate,
        clock: state.adamClock,
      };
      state.decided = { gradNorm, body };
    },
    heardApplied: ({ from }) => self.answered('step', from),
    report: (_event, { step }) => {
      self.endWait('step');
      if (state.retold !== null) {
        options.report(state.retold);
        state.retold = null;
        return;
      }
      const seconds = (self.clock.now() - state.openedAtMs) / 1000;
      const counted = state.tokensOf(step);
      state.forgetCounts(step);
      const losses = stepLosses(job, state.ledger, counted);
      if (job.dealEvery !== undefined && state.decided.body.apply) state.countLoad();
      const counts_LE = state.ledger.counts.slice();
      options.chosen?.({ step, layers: moeLayers(job.model), counts_LE });
      state.lastLoss = losses.loss;
      // A step that is repeated after all went back to a snapshot was reported already.
      const before = state.reported.get(step);
      state.reported.set(step, losses.loss);
      if (before === undefined) reportStep(state, { step, seconds, counted, losses });
      else if (!Object.is(before, losses.loss))
        options.report({
          event: 'fault',
          message: `step ${step} was repeated and its loss is ${losses.loss}; before it was ${before}`,
          details: { step, before, after: losses.loss },
        });
    },
  };
}

function reportStep(state: TrainerState, measured: MeasuredStep): void {
  const { options, decided } = state;
  const { step } = measured;
  if (!decided.body.apply)
    options.report({
      event: 'fault',
      message: `step ${step} had a non-finite gradient again; it is skipped: no parameter changes`,
      details: { step, skipped: true },
    });
  options.report(stepEvent(state, measured));
}
