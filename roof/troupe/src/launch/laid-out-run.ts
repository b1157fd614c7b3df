import type { CheckpointReader } from '@troupe/checkpoint';
import { TroupeError, type Logger } from '@troupe/core';
import type { RunEvent, StartEvent } from '@troupe/telemetry';
import type { ResolvedTopology } from '@troupe/topology';
import { jobOf, type RunChoices } from '../job.ts';
import { systemClock } from '../ports/clock.ts';
import { markDisk, unmarkDisk, type MarkedDisk } from '../machines/shared-disk.ts';
import type { Recorder } from '../profile/recorder.ts';
import { packedId, type RunData } from '../run-data.ts';
import { failureOf, type RunResult } from '../run-result.ts';
import type { RunLook } from '../run/run-view.ts';
import { Run, startEvent, type RunPorts, type StopReason } from '../run/run.ts';
import type { LaunchOptions } from './launch-options.ts';
import type { LaunchedProcesses, Sent } from './launched-processes.ts';
import { openProcesses } from './open-processes.ts';

/** Who hears of it. */
export interface LaidOutPorts {
  readonly logger: Logger;
  readonly recorder: Recorder | null;
  readonly report: (event: RunEvent) => unknown;
  readonly evaluating: (sequence: number) => void;
  /** Machines are away, of which one was waited for long enough. */
  readonly overdue: NonNullable<RunPorts['overdue']>;
  /** The first step opens. */
  readonly opened: () => void;
  /** A worker has opened its device, or the first step opens. */
  readonly changed: () => void;
  readonly ready: () => void;
}

/** What it does. */
export interface LaidOutWork {
  readonly choices: RunChoices;
  readonly data: RunData;
  readonly resumeFrom: CheckpointReader | null;
  readonly peakFlops: number | null;
}

/** A stopped or swapped-out process comes back within seconds; longer silence is a loss. */
const watch = { heartbeatMs: 1000, silenceMs: 6000 };

const asTroupeError = (error: unknown): TroupeError =>
  error instanceof TroupeError
    ? error
    : new TroupeError('TROUPE_UNKNOWN', error instanceof Error ? error.message : String(error), {
        cause: error,
      });

/** A run as long as it is in one layout: its processes, and what they compute. */
export class LaidOutRun {
  readonly topology: ResolvedTopology;
  /** Never rejects; when it is there nothing of its processes is left. */
  readonly result: Promise<RunResult>;
  readonly #options: LaunchOptions;
  readonly #processes: LaunchedProcesses;
  readonly #run: Run;
  /** Where machines look for the lead's disk; null: there is one machine, or none that writes. */
  #disk: MarkedDisk | null = null;
  #isOpen = false;
  #markBooted: () => void = () => {};
  /** What ends before its processes are known could leave some. */
  readonly #booted = new Promise<void>((resolve) => (this.#markBooted = resolve));

  constructor(topology: ResolvedTopology, options: LaunchOptions, ports: LaidOutPorts) {
    this.topology = topology;
    this.#options = options;
    const { logger, recorder, report, evaluating, changed, opened, ready, overdue } = ports;
    const launched = {
      logLevel: options.logLevel,
      ...(options.printed === undefined ? {} : { printed: options.printed }),
      logger,
      recorder,
      unjudged: (error: TroupeError): void => this.#run.fail(error),
      ready: changed,
      evaluating,
      disk: () => this.#disk,
    };
    this.#processes = openProcesses(topology, options, launched, (event) => this.#run.report(event));
    this.#run = new Run(topology, {
      processes: this.#processes,
      // Both are of all layouts.
      lock: null,
      metrics: null,
      report,
      reportName: 'the option report',
      errorOf: (failure) => failureOf(failure, null, null),
      watch,
      position: (step) => `in step ${step + 1}`,
      ready,
      overdue,
      opened: () => {
        this.#isOpen = true;
        opened();
        changed();
      },
    });
    this.result = this.#run.result.then(async (result) => {
      await this.#unmarkDisk().catch((error: unknown) => logger.warn('mark left', { reason: String(error) }));
      return result;
    });
  }

  get pids(): readonly number[] {
    return this.#processes.pids;
  }

  sent(): Sent {
    return this.#processes.sent();
  }

  look(): RunLook | null {
    return this.#run.look(systemClock().now());
  }

  /** Boots its processes, while `preparing` goes on, and gives them their work. @throws {TroupeError} what it could not start for */
  async start(preparing: () => Promise<LaidOutWork>): Promise<void> {
    const booting = this.#markDisk().then(() => this.#processes.boot());
    await booting.finally(() => this.#markBooted());
    const [work] = await Promise.all([preparing(), this.#processes.connect()]);
    const { data, resumeFrom, peakFlops } = work;
    const { sharesDisk = false } = this.#processes;
    const choices = sharesDisk ? { ...work.choices, parts: true } : work.choices;
    const { tokenizer, corpusSha256 } = data;
    const { checkpoints } = this.#options;
    const { pack } = data.source;
    this.#processes.tell(
      { choices, data: { tokenizer, corpusSha256 } },
      pack === undefined ? null : () => pack(packedId(this.topology, data)),
    );
    this.#run.start({
      job: jobOf(this.topology, choices),
      peakFlops,
      store: {
        storage: checkpoints?.storage ?? null,
        folder: checkpoints?.folder ?? '',
        keep: this.topology.checkpoint.keep,
        tokenizer: tokenizer === null ? null : new TextEncoder().encode(tokenizer),
        corpusSha256,
        resumeFrom,
      },
    });
  }

  async #markDisk(): Promise<void> {
    const { checkpoints } = this.#options;
    if (this.topology.launcher === null || checkpoints?.root === undefined) return;
    const { storage, root, folder } = checkpoints;
    this.#disk = await markDisk(storage, { root, folder });
  }

  async #unmarkDisk(): Promise<void> {
    const { checkpoints } = this.#options;
    if (this.#disk !== null && checkpoints !== null) await unmarkDisk(checkpoints.storage, this.#disk);
  }

  stop(reason: StopReason): void {
    void this.#booted.then(() => this.#run.stop(reason));
  }

  async abort(): Promise<void> {
    await this.#booted;
    await this.#run.abort();
  }

  fail(error: unknown): void {
    this.#run.fail(asTroupeError(error));
  }

  report(event: RunEvent): void {
    this.#run.report(event);
  }

  logitsOf(
    contexts: readonly (readonly number[])[],
    sources: readonly (readonly number[])[],
  ): Promise<Float32Array> {
    return this.#run.logits(contexts, sources);
  }

  /** The first event of a run, when every worker has said what it runs on and the first step opens; null before. */
  startEvent(): StartEvent | null {
    const { devices, count } = this.#processes;
    if (!this.#isOpen || devices.length < count) return null;
    const names = [...new Set(devices.map(({ device }) => device))];
    const reasons = [...new Set(devices.map(({ reason }) => reason))];
    return startEvent(this.topology, {
      device: `${devices.length} × ${names.join(', ')}`,
      reason: reasons.join('; '),
      processes: devices.length,
    });
  }
}
