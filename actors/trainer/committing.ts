import { assert } from '@troupe/core';
import type { TrainerContext } from './context.ts';
import type { TrainerSelf } from './events.ts';
import { stepLosses, utilisation, type StepLosses } from './losses.ts';
import type { TrainerEffects } from './machine.ts';
import type { Counted } from '../token-tensors.ts';
import type { TrainerState } from './state.ts';
import { normOf } from './votes.ts';

type CommittingEffects = Pick<
  TrainerEffects,
  'recordMeasure' | 'countKernels' | 'shareBalance' | 'recordVote' | 'decide' | 'report'
>;

/** From measures and votes to one decision, and to what people read of the step. */
export function committingEffects(self: TrainerSelf, state: TrainerState): CommittingEffects {
  const { job, company, options } = state;
  return {
    recordMeasure: ({ from, body, tensors }) => {
      const share = company.shareOf(from);
      state.ledger.compareAlike(share, body.alike);
      state.ledger.addLosses(share, tensors);
      state.ledger.kernelMs += body.kernelMs;
      self.answered('step', from);
    },
    countKernels: ({ body }) => {
      state.ledger.kernelMs += body.kernelMs;
    },
    // Every forward pass comes before the first backward pass, so whoever waits for all stages waits for the last one.
    shareBalance: ({ from, tensors }, { step, attempt }) => {
      const { ledger } = state;
      ledger.addChoices(company.shareOf(from), tensors.counts_LE);
      if (ledger.numShared < company.stages.length) return;
      const counts_LE = ledger.sharedChoices;
      for (const stage of company.stages)
        self.tell(stage, 'balance.shared', { step, attempt, tensors: { counts_LE } });
    },
    recordVote: ({ from }) => self.answered('step', from),
    decide: (_event, { step, attempt, votes, awaited }) => {
      assert(awaited.size === 0, 'a step is decided when all have voted and measured (TRN-1)', { step });
      const gradNorm = normOf(votes);
      const apply = !votes.overflow;
      const learningRate = job.learningRate(step);
      if (apply) state.adamClock++;
      state.decided = { gradNorm, learningRate, skipped: !apply };
      const { clip } = job.optimizer;
      const body = {
        apply,
        gradScale: clip > 0 && apply ? Math.min(1, clip / (gradNorm + 1e-6)) : 1,
        learningRate,
        clock: state.adamClock,
      };
      for (const to of company.holders)
        self.tell(to, 'commit.decide', { step, attempt, version: step - 1, body });
      state.waitFor('step', {
        awaited: company.holders,
        reason: 'the decision to be applied',
        step,
        deadlineMs: job.deadlines.stepMs,
      });
    },
    report: (_event, { step }) => {
      self.endWait('step');
      const seconds = (self.clock.now() - state.openedAtMs) / 1000;
      const counted = state.tokensOf(step);
      state.forgetCounts(step);
      const losses = stepLosses(job, state.ledger, counted);
      if (job.dealEvery !== undefined && !state.decided.skipped) state.countLoad();
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

function reportStep(
  { options, decided, ledger, openings, job }: TrainerState,
  committed: {
    readonly step: TrainerContext['step'];
    readonly seconds: number;
    readonly counted: Counted;
    readonly losses: StepLosses;
  },
): void {
  const { step, seconds, counted, losses } = committed;
  if (decided.skipped)
    options.report({
      event: 'fault',
      message: `step ${step} had a non-finite gradient again; it is skipped: no parameter changes`,
      details: { step, skipped: true },
    });
  const tokensPerSecond = counted.targets / seconds;
  options.report({
    event: 'step',
    step,
    loss: losses.loss,
    auxLoss: losses.auxLoss,
    gradNorm: decided.gradNorm,
    learningRate: decided.learningRate,
    tokens: counted.targets,
    tokensPerSecond,
    mfu: utilisation(options.flopsPerToken * tokensPerSecond, options.peakFlops),
    maxExpertLoad: losses.maxExpertLoad,
    hottest: losses.hottest,
    kernelShare: ledger.kernelMs / 1000 / seconds / job.layout.numWorkers,
    attempts: openings.count,
    skipped: decided.skipped,
    maxVio: Math.max(0, losses.maxExpertLoad - 1),
    dropRate: losses.dropRate,
  });
}
