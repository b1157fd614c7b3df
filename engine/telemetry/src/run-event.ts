import type { ErrorDetails } from '@troupe/core';
import type { ProfileLine } from './profile/lines.ts';
import type { TimeShares } from './profile/shares.ts';

/** First line of a run. */
export interface StartEvent {
  readonly event: 'start';
  /** Name of the device bodies, e.g. `native avx512, 1 thread`. */
  readonly device: string;
  readonly reason: string;
  /** Worker processes; 0 when everything runs in one process. */
  readonly processes: number;
  readonly paramsTotal: number;
  readonly paramsActive: number;
  /** Run folder of `launch` and `resume`; absent in a program of one's own. */
  readonly folder?: string;
}

/** One committed step. */
export interface StepEvent {
  readonly event: 'step';
  /** From 1. */
  readonly step: number;
  /** Cross entropy, nats a token; NaN (null in JSON) when the sum met a NaN or left its range. */
  readonly loss: number;
  /** Balance and z-loss, weighted and summed. */
  readonly auxLoss: number;
  /** Before clipping; NaN (null in JSON) when it is not finite. */
  readonly gradNorm: number;
  readonly learningRate: number;
  /** Target tokens of this step. */
  readonly tokens: number;
  readonly tokensPerSecond: number;
  /** Share of the largest peak that was measured on this machine; null without one, and where it would be more than all of it. */
  readonly mfu: number | null;
  /** Largest over MoE layers of max / mean rows of an expert; 1 for a model without experts. */
  readonly maxExpertLoad: number;
  /** The same less one (MaxVio, arXiv:2408.15664): by how much the worst expert is over the mean; 0 for a model without experts. */
  readonly maxVio: number;
  /** Layer (0-based) and expert of that largest load; null for a model without experts. */
  readonly hottest: { readonly layer: number; readonly expert: number } | null;
  /** Share of the step's time in which a device ran kernels, mean over replicas. */
  readonly kernelShare: number;
  /** How often the step was started: more than once after a non-finite gradient or a lost worker. */
  readonly attempts: number;
  /** True when the step's gradient was not finite twice: nothing was applied. */
  readonly skipped: boolean;
  /** Share of the choices of all layers that experts had no room for: their rows are left out; 0 without a capacity. */
  readonly dropRate: number;
}

/** Held-out loss after a step. */
export interface EvalEvent {
  readonly event: 'eval';
  readonly step: number;
  /** Nats a token; NaN (null in JSON) when the sum met a NaN or left its range. */
  readonly loss: number;
  readonly tokens: number;
}

export interface CheckpointEvent {
  readonly event: 'checkpoint';
  readonly step: number;
  readonly path: string;
}

/** Something that people should know and that does not keep the run from going on. */
export interface WarningEvent {
  readonly event: 'warning';
  readonly message: string;
}

export interface FaultEvent {
  readonly event: 'fault';
  readonly message: string;
  readonly details: ErrorDetails;
}

/** How far something that takes long has come; the first after a second, then now and then. */
export interface ProgressEvent {
  readonly event: 'progress';
  readonly task: 'learning a tokenizer' | 'cutting text into tokens' | 'evaluating';
  readonly unit: 'bytes' | 'tokens' | 'sequences';
  readonly done: number;
  /** null: unknown. */
  readonly of: number | null;
}

/** Machines of a run whose agents are not there, at its start or after a loss; now and then until all of them are. */
export interface WaitingEvent {
  readonly event: 'waiting';
  /** Hosts that are waited for. */
  readonly machines: readonly string[];
  /** Machines of the run. */
  readonly of: number;
  /** How long so far. */
  readonly seconds: number;
}

/** What a profile found, once, before `done`; means over devices and profiled steps. */
export interface ProfileEvent {
  readonly event: 'profile';
  /** The trace, for ui.perfetto.dev. */
  readonly path: string;
  /** First and last profiled step that was committed; null when none was. */
  readonly steps: { readonly first: number; readonly last: number } | null;
  readonly devices: number;
  /** Mean time of a step, milliseconds; the four of `shares` add up to it. */
  readonly stepMs: number;
  readonly shares: TimeShares;
  /** Per device, the larger of two measurements, before and after the run; null without the addon. */
  readonly peakFlops: number | null;
  readonly bytesPerSecond: number | null;
  /** Every operation and shape, the most expensive first. */
  readonly lines: readonly ProfileLine[];
  /** Events in the trace. */
  readonly traceEvents: number;
  /** Messages between processes that are arrows in the trace. */
  readonly arrows: number;
  /** Processes whose records reached the limit or ended early, so that the trace lacks their rest. */
  readonly truncated: readonly string[];
}

/** The run has recovered from a lost worker: the next step opens with the numbers that it would have had. */
export interface RecoveredEvent {
  readonly event: 'recovered';
  /** The step that opens now. */
  readonly step: number;
  /** The attempt in which it opens; attempts count over the whole run. */
  readonly attempt: number;
  /** What was lost, `worker/1`; several are separated by commas. */
  readonly worker: string;
  /** From the loss until now. */
  readonly ms: number;
  /** Where the lost state came from: shards that hold the same, the newest snapshot, or the seed. */
  readonly from: 'peers' | 'snapshot' | 'seed';
  /** Committed steps that are computed again; they are not reported again. */
  readonly repeatedSteps: number;
}

/** Experts sit in other groups from here on: those with many rows are apart. No number changes. */
export interface ExpertsEvent {
  readonly event: 'experts';
  /** The last step before. */
  readonly step: number;
  /** Experts whose group is another one, over all layers. */
  readonly moved: number;
  /** By how much the rows of the most loaded groups fall if the load stays, 0 to 1: summed over the layers. */
  readonly gain: number;
  /** From the decision until every actor knew. */
  readonly ms: number;
}

/** A running run goes on in another layout, with the same numbers: once when it is asked for, once when it has ended. */
export interface RelayoutEvent {
  readonly event: 'relayout';
  /** `open` when it is asked for. `done`: the new layout has recorded a step. `returned`: it did not come to one, and the old one goes on. `dropped`: the run ended before. */
  readonly state: 'open' | 'done' | 'returned' | 'dropped';
  readonly id: string;
  readonly kind: 'drain' | 'migrate' | 'apply' | 'loss';
  /** Who asked, and for what. */
  readonly by: string;
  readonly what: string;
  /** Last step in the layout before. */
  readonly step: number;
  /** Layouts in words. */
  readonly from: string;
  readonly to: string;
  /** From that step until the next one opened; null: none has. */
  readonly pauseMs: number | null;
  /** What kept the new layout from its first step. */
  readonly problem: { readonly code: string; readonly message: string } | null;
}

export interface DoneEvent {
  readonly event: 'done';
  readonly steps: number;
  readonly loss: number | null;
  readonly tokensPerSecond: number | null;
  readonly seconds: number;
  readonly exitCode: number;
  /** Bytes that worker processes sent each other and the trainer over the transport. */
  readonly wireBytes: number;
  /** Messages that they sent so. */
  readonly wireMessages: number;
  /** Last held-out loss of this run, nats a token; null when none was measured. */
  readonly evalLoss: number | null;
  /** Entropy of the held-out tokens' own frequencies: what a model that ignores all context reaches; null when unknown. */
  readonly unigramEntropy: number | null;
  /** Held-out tokens under the bigrams of the training tokens: what a model that sees one token reaches; null when unknown. */
  readonly bigramCrossEntropy: number | null;
  /** Where checkpoints and metrics are. */
  readonly folder: string;
}

export interface ErrorEvent {
  readonly event: 'error';
  readonly code: string;
  readonly message: string;
}

/** What a run tells the world, one object a line under `--json`; field names are frozen. */
export type RunEvent =
  | StartEvent
  | StepEvent
  | EvalEvent
  | CheckpointEvent
  | WarningEvent
  | FaultEvent
  | ProgressEvent
  | WaitingEvent
  | RecoveredEvent
  | ExpertsEvent
  | RelayoutEvent
  | ProfileEvent
  | DoneEvent
  | ErrorEvent;

/** Takes a run's events; must not throw. */
export type RunSink = (event: RunEvent) => void;
