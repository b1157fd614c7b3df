import type { DecidedStep } from '@troupe/journal';
import type { RunSink } from '@troupe/telemetry';
import type { Job } from '../job.ts';

/** How a run ended, as far as the trainer knows. */
export interface RunOutcome {
  readonly step: number;
  readonly loss: number | null;
  readonly stopped: boolean;
  /** Set when the last checkpoint could not be written. */
  readonly error?: { readonly code: string; readonly message: string; readonly retryable: boolean };
}

/** Choices of every expert in one step. */
export interface ExpertChoices {
  readonly step: number;
  /** Blocks of the model with experts, in their order: those of the rows of `counts_LE`. */
  readonly layers: readonly number[];
  /** Layers × experts; the receiver's own. */
  readonly counts_LE: Int32Array;
}

export interface TrainerOptions {
  readonly job: Job;
  readonly report: RunSink;
  /** Which experts a committed step has chosen; absent: nobody looks. */
  readonly chosen?: (choices: ExpertChoices) => void;
  /** Puts a decision on a disk, where it lasts once this resolves, to its record as text; absent: nobody keeps decisions. */
  readonly record?: (decided: DecidedStep) => Promise<string>;
  /** It takes the place of a lead that was lost; absent: it begins the run. */
  readonly takesOver?: {
    /** Which life of the lead it is. */
    readonly epoch: number;
    /** Claims the epoch, and reads what earlier leads have recorded, the newest last. */
    readonly claim: () => Promise<readonly string[]>;
  };
  /** The first step opens: everything is loaded. */
  readonly opened?: () => void;
  /** Questions may be put: everything is loaded. */
  readonly ready?: () => void;
  /** The logits of a question, [V]. */
  readonly answered?: (logits_NV: Float32Array) => void;
  readonly finished: (outcome: RunOutcome) => void;
  /** Peak of the used cores, FLOP/s; null when it was not measured. */
  readonly peakFlops: number | null;
  readonly flopsPerToken: number;
}
