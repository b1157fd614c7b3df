import type { Exact } from './exact.ts';

/** What a step decides, as every shard carries it out. */
export interface Decision {
  /** False: no parameter changes, and Adam's clock stands still. */
  readonly apply: boolean;
  readonly gradScale: number;
  readonly learningRate: number;
  /** Adam's clock behind this step: updates that were carried out. */
  readonly clock: number;
}

/** Sums of a step before anything was rounded: of 128 bits, two words each, the low one first ({@link wideInteger} of core). */
export interface ExactSums {
  /** Squares of all gradients. */
  readonly norm: BigInt64Array;
  /** Cross entropy of all targets. */
  readonly loss: BigInt64Array;
  /** Two sums a layer with experts: balance and squared logsumexp. */
  readonly layers: BigInt64Array;
  /** Choices that experts had no room for. */
  readonly dropped: number;
}

/** What the trainer knows when it has decided a step. */
export interface DecidedStep {
  readonly attempt: number;
  readonly step: number;
  /** The step was not finite, and was begun once more. */
  readonly replayed: boolean;
  readonly decision: Decision;
  readonly sums: ExactSums;
  /** The line that people read of the step, as it was when the step was decided. */
  readonly reported: Exact;
  /** Group of every expert, by layer with experts; null: they sit where the layout has them. */
  readonly seats: readonly (readonly number[])[] | null;
  /** How long ago processes were lost, milliseconds, the oldest first: ages, since no clock of one machine means anything on another. */
  readonly lossAgesMs: readonly number[];
}

/** What the lead knows besides. */
export interface LeadState {
  /** Which life of the lead decided. */
  readonly epoch: number;
  /** Digest of who holds what. */
  readonly layout: string;
  /** Machines of the run, by name: of these a strict majority has to promise. */
  readonly membership: readonly string[];
  /** Incarnations of processes above the first. */
  readonly lives: Readonly<Record<string, number>>;
  /** The newest complete one. */
  readonly checkpoint: { readonly step: number; readonly path: string } | null;
  /** Files that were applied to the run while it went on, by their ids. */
  readonly applied: readonly string[];
}

/** One decision of a run: plain data that stands alone, since agents keep single records too. */
export interface JournalRecord extends DecidedStep, LeadState {}

/**
 * Negative: `a` was decided before `b`. A later life of the lead comes first, then a later attempt (a run that went back to a snapshot
 * decides lower steps under higher attempts), then a later step.
 */
export const compareRecords = (
  a: Pick<JournalRecord, 'epoch' | 'attempt' | 'step'>,
  b: Pick<JournalRecord, 'epoch' | 'attempt' | 'step'>,
): number => a.epoch - b.epoch || a.attempt - b.attempt || a.step - b.step;
