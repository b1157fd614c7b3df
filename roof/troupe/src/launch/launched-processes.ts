import type { Logger, TroupeError } from '@troupe/core';
import type { RunChoices } from '../job.ts';
import type { MarkedDisk } from '../machines/shared-disk.ts';
import type { Recorder } from '../profile/recorder.ts';
import type { RunDataChoice } from '../run-data.ts';
import type { Processes } from '../run/processes.ts';
import type { LaunchOptions } from './launch-options.ts';
import type { WorkerMessage } from './protocol.ts';

/** What processes have put on the wire. */
export interface Sent {
  readonly bytes: number;
  readonly messages: number;
}

/** What every life of a worker is told of the run. */
export interface WorkerRun {
  readonly choices: RunChoices;
  readonly data: RunDataChoice;
}

/** What a worker computes on, and why. */
export type DeviceReport = Pick<Extract<WorkerMessage, { readonly type: 'ready' }>, 'device' | 'reason'>;

export interface LaunchedOptions extends Pick<LaunchOptions, 'logLevel' | 'printed'> {
  readonly logger: Logger;
  /** What machines look for when they come, to write their parts of checkpoints there; null, and by default: nothing. */
  readonly disk?: () => MarkedDisk | null;
  /** Of this process; it ends with the others. */
  readonly recorder: Recorder | null;
  /** Ends the run: nobody can be told. */
  readonly unjudged: (error: TroupeError) => void;
  /** A worker has opened its device. */
  readonly ready: () => void;
  /** A worker was given held-out sequences up to this one. */
  readonly evaluating: (sequence: number) => void;
}

/** Processes that boot while the lead reads the data: {@link boot}, then {@link connect}, then {@link tell} what the run is. */
export interface LaunchedProcesses extends Processes {
  /** Workers and hosts. */
  readonly count: number;
  /** Of their present lives, by rank. */
  readonly pids: readonly number[];
  /** Of the workers that have opened theirs. */
  readonly devices: readonly DeviceReport[];
  /** All machines, connected, have found the disk of the run's folder. Absent: there is one machine. */
  readonly sharesDisk?: boolean;
  /** What all processes have put on the wire, as far as they have told. */
  sent(): Sent;
  /** Starts them; they go on by themselves. */
  boot(): Promise<void>;
  /**
   * Waits until everybody can be reached, and opens the lead's system.
   *
   * @throws {TroupeError} why somebody did not start
   */
  connect(): Promise<void>;
  /**
   * Says what the run is, before the first worker begins.
   *
   * @param pack - writes the corpus for machines without its files, and says where it is; null: there are no documents
   */
  tell(run: WorkerRun, pack: (() => string) | null): void;
}
