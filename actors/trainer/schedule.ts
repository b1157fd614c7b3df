import type { Job } from '../job.ts';

/** When a run evaluates and when it saves, as plain data. */
export interface Schedule {
  /** Steps of the whole schedule. */
  readonly steps: number;
  /** Steps between evaluations; 0: only at the end; -1: never. */
  readonly evaluateEvery: number;
  /** Steps between checkpoints; 0: only at the end; -1: never. */
  readonly checkpointEvery: number;
  /** Fewest steps between two dealings of experts; absent: none. */
  readonly dealEvery?: number;
  /** The first state is evaluated, before any step. */
  readonly evaluatesFirst?: boolean;
}

export const scheduleOf = (job: Job): Schedule => ({
  steps: job.steps,
  evaluateEvery: job.evaluationSequences > 0 ? job.evaluateEvery : -1,
  checkpointEvery: job.checkpointEvery,
  ...(job.dealEvery === undefined ? {} : { dealEvery: job.dealEvery }),
  evaluatesFirst: job.purpose === 'evaluate',
});

/** Whether an evaluation follows the commit of a step. */
export const evaluatesAfter = (
  { steps, evaluateEvery, evaluatesFirst = false }: Schedule,
  step: number,
): boolean =>
  evaluatesFirst ||
  (evaluateEvery >= 0 && (step === steps || (evaluateEvery > 0 && step % evaluateEvery === 0)));

/** Whether a checkpoint is due after the commit of a step, when that of step `saved` is the newest. */
export const savesAfter = (
  { checkpointEvery }: Schedule,
  { step, saved }: { readonly step: number; readonly saved: number },
): boolean => checkpointEvery > 0 && Math.floor(step / checkpointEvery) > Math.floor(saved / checkpointEvery);

/** Whether experts are due to be dealt by load after the commit of a step. */
export const dealsAfter = (
  { dealEvery }: Schedule,
  { step, dealt }: { readonly step: number; readonly dealt: number },
): boolean => dealEvery !== undefined && step - dealt >= dealEvery;
