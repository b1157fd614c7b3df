import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import type { DoneEvent, MachineRates, ProfileEvent, RunEvent } from '@troupe/telemetry';
import { openMetrics, type Metrics } from '@troupe/telemetry/sinks';
import {
  adviceOn,
  createPlacement,
  formatAdvice,
  neverShrinks,
  refuseUnbuilt,
  TopologyError,
  type ResolvedTopology,
} from '@troupe/topology';
import {
  exitCodes,
  fileStorage,
  launch,
  measuredBandwidth,
  measuredPeakFlops,
  monotonicMs,
  partPaths,
  systemClock,
  writeProfile,
  type Launch,
  type Launcher,
  type LaunchOptions,
  type LogLevel,
  type ProfilePlan,
  type RunResult,
  type StopReason,
} from 'troupe/launch';
import { exitLine } from '../exit-line.ts';
import { print, printError, printJson } from '../output.ts';
import { ignoresHangup } from './ignores-hangup.ts';
import type { BatchOptions } from './batch-job.ts';
import { OperatedRun } from './operated-run.ts';
import {
  profilePath,
  profileRequest,
  profileSteps,
  type ProfileRequest,
  type StepRange,
} from './profile-request.ts';
import { profileTable } from './profile-table.ts';
import { Progress } from './progress.ts';
import { releaseRunFolder, type RunFolder } from './run-folder.ts';
import { StopSignals } from './stop-signals.ts';
import { summary } from './summary.ts';
import { Tally } from './tally.ts';

export interface FollowOptions {
  /** Called once, when the topology is known to run; the lock of the folder is given back at the end. */
  readonly claim: () => Promise<RunFolder>;
  /** Boots while the topology is read. */
  readonly spare: NonNullable<LaunchOptions['spare']>;
  /** What reaches the machines; null: what the topology's kind of launcher says. */
  readonly launcher: Launcher | null;
  readonly checkpoints: boolean;
  readonly resumeFrom: NonNullable<LaunchOptions['resumeFrom']> | null;
  /** Weights to start with. */
  readonly weightsFrom?: NonNullable<LaunchOptions['weightsFrom']> | null;
  /** What else people are told at the start. */
  readonly notes?: readonly string[];
  readonly stopAfter?: number;
  readonly dataChanged?: boolean;
  /** Says what would be run on other machines, and runs nothing. */
  readonly dryRun?: boolean;
  /** How the run was asked for; null: it goes on, and is no job of its own. */
  readonly batch?: BatchOptions | null;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly logLevel: LogLevel;
  /** Seconds. */
  readonly grace: number;
  readonly profile?: string | true;
  readonly profileSteps?: StepRange;
  /** Nobody watches: what workers print is in their logs alone. */
  readonly isDetached?: boolean;
}

/**
 * Launches a run and shows it until it ends.
 *
 * @returns its exit code
 * @throws {TroupeError} what kept it from starting
 */
export async function follow(topology: ResolvedTopology, options: FollowOptions): Promise<number> {
  const unbuilt = refuseUnbuilt(topology);
  if (unbuilt.length > 0) throw new TopologyError(unbuilt);
  // One that has shrunk goes on as small as it is.
  const never = options.resumeFrom === null ? neverShrinks(topology) : null;
  if (never !== null) throw new TopologyError([never]);
  const { launcherOf, printReach, probeMachines } = await import('./reach-machines.ts');
  if (options.dryRun === true || options.batch?.pods.apply === true) {
    await printReach(topology, options);
    return exitCodes.ok;
  }
  const request = profileRequest(options.profile, options.profileSteps);
  const { steps } = topology.train;
  const profile =
    request === null
      ? null
      : {
          ...request,
          steps: profileSteps(request, {
            first: (options.resumeFrom?.manifest.step ?? 0) + 1,
            last: Math.min(options.stopAfter ?? steps, steps),
          }),
        };
  const launcher = options.launcher ?? launcherOf(topology);
  await probeMachines(topology);
  const folder = await options.claim();
  try {
    const run = new FollowedRun(topology, { ...options, folder, launcher }, profile);
    return await run.run();
  } finally {
    await folder.lock.release();
  }
}

/** A profile of which the steps are known. */
type FollowedProfile = ProfileRequest & { readonly steps: StepRange };

type FollowedOptions = FollowOptions & {
  readonly folder: RunFolder;
  /** What starts agents on other machines; null: that of the topology's kind needs nothing else, or there are none. */
  readonly launcher: LaunchOptions['launcher'] | null;
};

class FollowedRun {
  readonly #topology: ResolvedTopology;
  readonly #options: FollowedOptions;
  readonly #folder: RunFolder;
  readonly #clock = systemClock();
  readonly #tally = new Tally();
  #metrics: Metrics | null = null;
  readonly #progress: Progress;
  /** What others see of it; null before it begins. */
  #operated: OperatedRun | null = null;
  readonly #profile: { readonly path: string; readonly plan: ProfilePlan } | null;

  /** Measured before the run. */
  #rates: MachineRates = { flops: null, bytes: null };

  constructor(topology: ResolvedTopology, options: FollowedOptions, profile: FollowedProfile | null) {
    const { steps } = topology.train;
    this.#topology = topology;
    this.#options = options;
    this.#folder = options.folder;
    this.#profile = profile === null ? null : this.#profilePlan(profile);
    this.#progress = new Progress(
      {
        steps,
        first: options.resumeFrom?.manifest.step ?? 0,
        end: Math.min(options.stopAfter ?? steps, steps),
        isTerminal: process.stdout.isTTY,
        columns: () => process.stdout.columns,
        write: (text) => void process.stdout.write(text),
      },
      this.#tally,
    );
  }

  async run(): Promise<number> {
    const { path, taken } = this.#folder;
    const { resumeFrom, grace } = this.#options;
    const signals = new StopSignals({
      clock: this.#clock,
      graceMs: 1000 * grace,
      notice: (text) => {
        this.#progress.close();
        printError(text);
      },
      ignoresHangup: ignoresHangup(),
      // The workers hear the pipe close and leave by themselves.
      exit: (reason) => process.exit(this.#leftEarly(reason)),
    });
    try {
      this.#metrics = await this.#openMetrics();
      const operated = (this.#operated = this.#openOperated(signals));
      await operated.open();
      if (this.#forPeople) {
        const from = resumeFrom === null ? '' : `, on from ${path}/${resumeFrom.folder}`;
        print(
          `${this.#topology.name}: run folder ${path}${taken === null ? '' : ` (${taken} belongs to an earlier run)`}${from}`,
          // A run that goes on has been told.
          ...(resumeFrom === null ? adviceOn(this.#topology).map(formatAdvice) : []),
          ...(this.#options.notes ?? []),
        );
      }
      const startedMs = this.#clock.now();
      const run = await this.#launch().catch((error: unknown) => {
        // A signal to the whole group ends workers that do not listen for it yet.
        if (signals.asked === null) throw error;
        return null;
      });
      if (run === null) return this.#leftEarly(signals.asked ?? 'interrupted');
      signals.attach(run);
      operated.attach(run);
      // A run that goes on has been told.
      if (this.#options.resumeFrom === null) this.#warn(run.dataWarnings());
      const result = await run.result;
      const seconds = (this.#clock.now() - startedMs) / 1000;
      const profile = await this.#writeProfile();
      return this.#end(run, result, seconds, profile);
    } finally {
      signals.close();
      this.#release();
    }
  }

  #openMetrics(): Promise<Metrics> {
    const { path } = this.#folder;
    return openMetrics(['jsonl', ...this.#topology.metrics], {
      storage: fileStorage(path),
      folder: '',
      nowMs: () => Date.now(),
      failed: (file, error) => {
        const { cause = error } = error instanceof Error ? error : {};
        printError(
          `troupe: no more metrics in ${join(path, file)}: ${cause instanceof Error ? cause.message : String(cause)}`,
        );
      },
    });
  }

  #openOperated(signals: StopSignals): OperatedRun {
    const { steps } = this.#topology.train;
    const { stopAfter, resumeFrom } = this.#options;
    return new OperatedRun({
      name: this.#topology.name,
      folder: this.#folder.path,
      tally: this.#tally,
      first: resumeFrom?.manifest.step ?? 0,
      last: Math.min(stopAfter ?? steps, steps),
      steps,
      isDetached: this.#options.isDetached ?? false,
      isStopping: () => signals.asked !== null,
      stop: (how) => signals.request(how),
      warn: (text) => this.#warn([text]),
    });
  }

  /** To the log of its worker, and to people where they watch. */
  #printed(node: string, text: string): void {
    this.#operated?.printed(node, text);
    if (this.#options.isDetached !== true) process.stderr.write(text);
  }

  #warn(warnings: readonly string[]): void {
    if (warnings.length === 0) return;
    this.#progress.close();
    printError(...warnings.map((each) => `troupe: warning: ${each}`));
  }

  #release(): void {
    void this.#metrics?.close();
    this.#operated?.close();
    if (this.#tally.last === null) releaseRunFolder(this.#folder, this.#metrics?.paths ?? []);
    else void this.#folder.lock.release();
  }

  /** Says that a signal ended the run before there was one, and gives its exit code. */
  #leftEarly(reason: StopReason): number {
    const done = this.#done(exitCodes[reason], {
      seconds: 0,
      wireBytes: 0,
      wireMessages: 0,
      statistics: null,
    });
    if (this.#options.json === true) printJson(done);
    else printError(exitLine(done.exitCode, this.#why(done, { error: null })));
    this.#release();
    return done.exitCode;
  }

  get #forPeople(): boolean {
    return this.#options.json !== true && this.#options.quiet !== true;
  }

  #launch(): Promise<Launch> {
    const { stopAfter, checkpoints, resumeFrom, weightsFrom, dataChanged, logLevel, spare, launcher } =
      this.#options;
    this.#rates = this.#measureRates();
    return launch(this.#topology, {
      ...(stopAfter === undefined ? {} : { stopAfter }),
      checkpoints: checkpoints
        ? {
            storage: fileStorage(this.#folder.path),
            folder: '',
            root: resolve(this.#folder.path),
            lock: this.#folder.lock,
          }
        : null,
      ...(weightsFrom == null ? {} : { weightsFrom }),
      ...(resumeFrom === null ? {} : { resumeFrom, dataChanged: dataChanged ?? false }),
      report: (event) => this.#report(event),
      logLevel,
      printed: (node, text) => this.#printed(node, text),
      spare,
      ...(launcher == null ? {} : { launcher }),
      peakFlops: this.#rates.flops && this.#rates.flops * this.#topology.parallel.world,
      ...(this.#profile === null ? {} : { profile: this.#profile.plan }),
    });
  }

  /** Threads of all devices, as far as there are cores for them. */
  get #threads(): number {
    const { workers } = createPlacement(this.#topology);
    const threads = workers.reduce((sum, worker) => sum + worker.device.threads, 0);
    return Math.min(threads, availableParallelism());
  }

  /** Per-device rate: total measured rate / number of devices. */
  #measureRates(): MachineRates {
    const threads = this.#threads;
    const { world } = this.#topology.parallel;
    const flops = measuredPeakFlops(threads, this.#topology.train.precision === 'bf16' ? 'bf16' : 'f32');
    const bytes = this.#profile === null ? null : measuredBandwidth(threads);
    return { flops: flops && flops / world, bytes: bytes && bytes / world };
  }

  /** What was measured before the run or is now, whichever is more: others may have used the machine in one of both moments. */
  #bestRates(): MachineRates {
    const { flops, bytes } = this.#measureRates();
    return {
      flops: flops && Math.max(flops, this.#rates.flops ?? 0),
      bytes: bytes && Math.max(bytes, this.#rates.bytes ?? 0),
    };
  }

  #profilePlan(profile: FollowedProfile): { readonly path: string; readonly plan: ProfilePlan } {
    const path = profilePath(profile, this.#folder.path);
    return { path, plan: { partPrefix: resolve(path), originMs: monotonicMs(), ...profile.steps } };
  }

  /** null when none was asked for or it could not be written: that is reported, and the run continues. */
  async #writeProfile(): Promise<ProfileEvent | null> {
    if (this.#profile === null) return null;
    const { path, plan } = this.#profile;
    const paths = partPaths(plan, this.#topology.parallel.world);
    try {
      return await writeProfile({ paths, path, rates: this.#bestRates() });
    } catch (error) {
      this.#progress.close();
      printError(
        `troupe: no profile: ${error instanceof Error ? error.message : String(error)}; its parts are ${path}.*.part`,
      );
      return null;
    }
  }

  #report(event: RunEvent): void {
    this.#tally.add(event);
    const { path } = this.#folder;
    const placed =
      event.event === 'checkpoint'
        ? { ...event, path: join(path, event.path) }
        : event.event === 'start'
          ? { ...event, folder: path }
          : event;
    this.#metrics?.write(placed);
    this.#operated?.hear(placed);
    if (this.#options.json === true) printJson(placed);
    else if (placed.event === 'warning') {
      this.#progress.close();
      printError(`troupe: warning: ${placed.message}`);
    } else if (this.#forPeople) this.#progress.show(placed);
  }

  #end(run: Launch, result: RunResult, seconds: number, profile: ProfileEvent | null): number {
    const { exitCode, error } = result;
    if (error !== null) this.#announce({ event: 'error', code: error.code, message: error.message });
    if (profile !== null) this.#announce(profile);
    const statistics = error === null && this.#tally.last !== null ? run.statistics() : null;
    const { bytes: wireBytes, messages: wireMessages } = run.sent();
    const done = this.#done(exitCode, { seconds, wireBytes, wireMessages, statistics });
    this.#announce(done);
    const line = exitLine(exitCode, this.#why(done, result));
    this.#operated?.say(line);
    if (this.#options.json === true) return exitCode;
    this.#progress.close();
    if (this.#forPeople && error === null)
      print(...summary(this.#folder.path, this.#tally, done, this.#topology));
    if (this.#forPeople && profile !== null) print('', ...profileTable(profile));
    if (exitCode === exitCodes.ok) print(line);
    else printError(line);
    return exitCode;
  }

  #done(
    exitCode: number,
    {
      seconds,
      wireBytes,
      wireMessages,
      statistics,
    }: Pick<DoneEvent, 'seconds' | 'wireBytes' | 'wireMessages'> & {
      readonly statistics: ReturnType<Launch['statistics']> | null;
    },
  ): DoneEvent {
    const { evalLoss, tokensPerSecond, last } = this.#tally;
    return {
      event: 'done',
      steps: last?.step ?? this.#options.resumeFrom?.manifest.step ?? 0,
      loss: last?.loss ?? null,
      tokensPerSecond,
      seconds,
      exitCode,
      wireBytes,
      wireMessages,
      evalLoss,
      unigramEntropy: statistics?.unigramEntropy ?? null,
      bigramCrossEntropy: statistics?.bigramCrossEntropy ?? null,
      folder: this.#folder.path,
    };
  }

  /** To the files of metrics, and to programs. */
  #announce(event: RunEvent): void {
    this.#metrics?.write(event);
    this.#operated?.hear(event);
    if (this.#options.json === true) printJson(event);
  }

  /** How the run ended and what to type to go on. */
  #why({ steps, exitCode }: DoneEvent, { error }: Pick<RunResult, 'error'>): string {
    const { path } = this.#folder;
    const { checkpoint } = this.#tally;
    const total = this.#topology.train.steps;
    const here = this.#tally.last === null ? '' : `; run folder ${path}`;
    if (exitCode === exitCodes.ok)
      return `${steps === total ? `all ${total} steps` : `stopped after step ${steps} of ${total}, as asked`}${here}`;
    const saved = checkpoint ?? this.#options.resumeFrom?.folder ?? null;
    const resume =
      saved === null
        ? `no checkpoint was written${here}`
        : `the last checkpoint is ${join(path, saved)}; go on with: npx troupe resume ${path}`;
    if (error === null) return `after step ${steps} of ${total}; ${resume}`;
    return exitCode === exitCodes.failed ? `${error.message}${here}` : `${error.message}; ${resume}`;
  }
}
