import type { StepEvent } from '@troupe/telemetry';
import type { Counted } from '../token-tensors.ts';
import { utilisation, type StepLosses } from './losses.ts';
import type { TrainerState } from './state.ts';

/** A step whose votes and measures are all here. */
export interface MeasuredStep {
  readonly step: number;
  /** Since it was opened. */
  readonly seconds: number;
  readonly counted: Counted;
  readonly losses: StepLosses;
}

/** What people read of a step. */
export function stepEvent(
  { options, decided, ledger, openings, job }: TrainerState,
  { step, seconds, counted, losses }: MeasuredStep,
): StepEvent {
  const tokensPerSecond = counted.targets / seconds;
  return {
    event: 'step',
    step,
    loss: losses.loss,
    auxLoss: losses.auxLoss,
    gradNorm: decided.gradNorm,
    learningRate: decided.body.learningRate,
    tokens: counted.targets,
    tokensPerSecond,
    mfu: utilisation(options.flopsPerToken * tokensPerSecond, options.peakFlops),
    maxExpertLoad: losses.maxExpertLoad,
    hottest: losses.hottest,
    kernelShare: ledger.kernelMs / 1000 / seconds / job.layout.numWorkers,
    attempts: openings.count,
    skipped: !decided.body.apply,
    maxVio: Math.max(0, losses.maxExpertLoad - 1),
    dropRate: losses.dropRate,
  };
}
