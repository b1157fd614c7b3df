import { isAbsolute } from 'node:path';
import type { FolderLock, SharedStorage, Storage } from '@troupe/core';
import type { RunSink } from '@troupe/telemetry';
import {
  callback,
  checkOptions,
  checkpointReader,
  objectWith,
  oneOf,
  options,
  orNull,
  positive,
  required,
  rule,
  storage,
  text,
  wholeNumber,
  type OptionRules,
} from '../option-rules.ts';
import type { FirstState } from '../first-state.ts';
import type { Launcher } from '../machines/launcher.ts';
import type { LogLevel } from '../ports/logger.ts';
import type { ProfilePlan } from '../profile/recorder.ts';
import { metricsRule, type MetricsChoice } from '../run/run-metrics.ts';

export interface LaunchOptions extends FirstState {
  /** Default: train. The others make no step: the held-out loss of `resumeFrom`, or logits of what is asked. */
  readonly purpose?: 'train' | 'evaluate' | 'generate';
  readonly stopAfter?: number;
  /** Where checkpoints go; null: none are written. */
  readonly checkpoints: {
    readonly storage: Storage | SharedStorage;
    readonly folder: string;
    /** Path of the storage's root on this machine. Machines that see the same disk write their parts of checkpoints there; default: pieces come here. */
    readonly root?: string;
    /** Whoever launches is the folder's only writer already. Default: the run takes the lock, and gives it back when it ends. */
    readonly lock?: FolderLock;
  } | null;
  /** Another corpus than that of `resumeFrom` is meant. Default false: it is refused. */
  readonly dataChanged?: boolean;
  /** Files of metrics beside `report`; absent: none are written. One that cannot be written is a warning, and the run goes on. */
  readonly metrics?: MetricsChoice;
  readonly report: RunSink;
  readonly logLevel: LogLevel;
  /** Gets what worker processes print, in pieces, by node: `worker/0`. Default: this process prints it. */
  readonly printed?: (node: string, text: string) => void;
  /** f32 peak of the used cores together, FLOP/s; null when not measured. */
  readonly peakFlops: number | null;
  /** A process that is already booting; the first worker takes it. */
  readonly spare?: { take(): object | null };
  /** Every process records these steps into a part of its own; absent: none does. */
  readonly profile?: ProfilePlan;
  /** What starts agents on the machines of a topology with a `launcher`. Default: that of its kind, where it needs nothing else (`local`). */
  readonly launcher?: Launcher;
}

const rules: OptionRules<LaunchOptions> = {
  purpose: oneOf('train', 'evaluate', 'generate'),
  stopAfter: wholeNumber(1, 'the step at which to end'),
  checkpoints: required(
    orNull(
      options({
        storage: required(storage),
        folder: required(rule('a path inside the storage', (value) => typeof value === 'string')),
        root: rule('an absolute path', (value) => typeof value === 'string' && isAbsolute(value)),
        lock: objectWith('the lock of a folder', 'release'),
      }),
    ),
  ),
  resumeFrom: checkpointReader,
  weightsFrom: checkpointReader,
  dataChanged: rule('true or false', (value) => typeof value === 'boolean'),
  metrics: metricsRule,
  report: required(callback),
  logLevel: required(oneOf('debug', 'info', 'warn', 'error', 'silent')),
  printed: callback,
  peakFlops: required(orNull(positive('floating-point operations a second'))),
  spare: objectWith('a SpareWorker', 'take'),
  profile: options({
    partPrefix: required(text('the start of a path')),
    originMs: required(rule('a moment (milliseconds)', Number.isFinite)),
    first: required(wholeNumber(1, 'a step')),
    last: required(wholeNumber(1, 'a step')),
  }),
  launcher: objectWith('what starts agents on machines', 'command'),
};

/** @throws {OptionError} TROUPE_OPTION with everything that is wrong */
export const checkLaunchOptions = (given: LaunchOptions): void => checkOptions('launch', given, rules);
