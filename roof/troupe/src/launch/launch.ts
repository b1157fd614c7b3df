import { rmSync } from 'node:fs';
import { assert, type Logger } from '@troupe/core';
import type { DataStatistics } from '@troupe/data';
import type { RunEvent } from '@troupe/telemetry';
import { leadNode, type ResolvedTopology } from '@troupe/topology';
import { dataWarnings } from '../data-warnings.ts';
import { checkpointMustFit, firstOf } from '../first-state.ts';
import { evaluationSequences, jobOf, type RunChoices } from '../job.ts';
import { mustFit } from '../machine-memory.ts';
import { checkTopology } from '../option-rules.ts';
import { Pace } from '../pace.ts';
import { systemClock } from '../ports/clock.ts';
import { openLogger } from '../ports/open-logger.ts';
import { partPaths, Recorder } from '../profile/recorder.ts';
import { openRunData, type RunData } from '../run-data.ts';
import { lockOf } from '../run-lock.ts';
import { failureOf, type RunResult } from '../run-result.ts';
import { openRunMetrics } from '../run/run-metrics.ts';
import type { RunLook } from '../run/run-view.ts';
import { Run, startEvent, type RunPorts, type StopReason } from '../run/run.ts';
import type { LaunchedOptions, LaunchedProcesses, Sent } from './launched-processes.ts';
import { checkLaunchOptions, type LaunchOptions } from './launch-options.ts';
import { openProcesses } from './open-processes.ts';

export type { StopReason } from '../run/run.ts';

/** A run on worker processes. */
export interface Launch {
  /** Never rejects; when it ends no process of the run is left. */
  readonly result: Promise<RunResult>;
  /** Finishes the open step, writes a checkpoint, ends with the exit code of the reason (130 for `interrupted`). */
  stop(reason: StopReason): void;
  /** Ends now, without a checkpoint. */
  abort(): Promise<void>;
  /** Each on its machine; -1 where none is known. */
  readonly workerPids: readonly number[];
  /**
   * With `purpose: 'generate'`: logits of the token behind `context`, [V]; one question at a time.
   *
   * @throws {TroupeError} what ended the run
   */
  logits(context: readonly number[]): Promise<Float32Array>;
  /**
   * The same of several contexts in one pass, [N, V]: at most as many as a microbatch has sequences, or one where experts choose.
   *
   * @param sources - what an encoder reads for each; of a model that has one
   */
  logitsOf(
    contexts: readonly (readonly number[])[],
    sources?: readonly (readonly number[])[],
  ): Promise<Float32Array>;
  /** What all processes have put on the wire. */
  sent(): Sent;
  /** What its workers and actors do now, by their heartbeats; null before they start. */
  look(): RunLook | null;
  /** Sizes of the data, and what simple models reach on them; counts all tokens when called. */
  statistics(): DataStatistics;
  /** What is odd about the data although they can be used: one sentence each. */
  dataWarnings(): readonly string[];
}

/** A stopped or swapped-out process comes back within seconds; longer silence is a loss. */
const watch = { heartbeatMs: 1000, silenceMs: 6000 };

/**
 * Runs one worker process a device. The lead (trainer and supervisor) and the store are in this process; agents too where all is on this
 * machine, and otherwise each on its own, where a launcher starts it.
 *
 * @throws {OptionError} TROUPE_OPTION with every option that is not what it has to be
 * @throws {TroupeError} what is wrong with the topology or its data, before anything is forked
 */
export async function launch(topology: ResolvedTopology, options: LaunchOptions): Promise<Launch> {
  checkTopology('launch', topology);
  checkLaunchOptions(options);
  const first = firstOf(options, topology);
  const { purpose = 'train' } = options;
  const trains = purpose === 'train';
  const choices: RunChoices = {
    purpose,
    stopAfter: trains
      ? Math.min(options.stopAfter ?? topology.train.steps, topology.train.steps)
      : first.step,
    // What makes no step has no use for moments, and an imported model has none.
    first: trains ? first : { ...first, from: 'weights' },
    evaluationSequences: 0,
    checkpoints: options.checkpoints !== null,
  };
  // Refuses what is not built, or what does not fit, before a process exists.
  const { resumeFrom } = options;
  const given = !trains && resumeFrom !== undefined ? { weightsFrom: resumeFrom } : options;
  checkpointMustFit(jobOf(topology, choices), given);
  // Of other machines it is the devices that know what they have room for.
  if (topology.launcher === null) mustFit(topology, 'launch');
  let run: LaunchedRun | null = null;
  const lock = await lockOf(options.checkpoints, () => void run?.abort());
  try {
    const logger = await openLogger(options.logLevel);
    const metrics = await openRunMetrics(topology, options.metrics);
    run = new LaunchedRun(topology, options, { logger, lock, metrics });
    await run.start(choices);
    return run;
  } catch (error) {
    await run?.abort();
    await lock?.release();
    throw error;
  }
}

class LaunchedRun implements Launch {
  readonly #topology: ResolvedTopology;
  readonly #options: LaunchOptions;
  readonly #pace: Pace;
  readonly #recorder: Recorder | null;
  readonly #processes: LaunchedProcesses;
  readonly #run: Run;
  #data: RunData | null = null;
  /** Held-out sequences that an evaluation reads. */
  #heldOut = 0;
  #isOpen = false;
  #isStartReported = false;
  #markReady: () => void = () => {};
  readonly #ready = new Promise<void>((resolve) => (this.#markReady = resolve));

  constructor(
    topology: ResolvedTopology,
    options: LaunchOptions,
    { logger, lock, metrics }: Pick<RunPorts, 'lock' | 'metrics'> & { readonly logger: Logger },
  ) {
    this.#topology = topology;
    this.#options = options;
    const clock = systemClock();
    this.#pace = new Pace(() => clock.now());
    const own = logger.child({ node: leadNode });
    this.#recorder = openRecorder(topology, options, own);
    const launched: LaunchedOptions = {
      logLevel: options.logLevel,
      ...(options.printed === undefined ? {} : { printed: options.printed }),
      logger: own,
      recorder: this.#recorder,
      unjudged: (error) => this.#run.fail(error),
      ready: () => this.#reportStart(),
      evaluating: (sequence) => this.#reportEvaluating(sequence),
    };
    this.#processes = openProcesses(topology, options, launched, (event) => this.#run.report(event));
    this.#run = new Run(topology, {
      processes: this.#processes,
      lock,
      metrics,
      report: (event) => this.#hear(event),
      reportName: 'the option report',
      errorOf: (failure) => failureOf(failure, null, null),
      watch,
      position: (step) => `in step ${step + 1}`,
      ready: () => this.#markReady(),
      opened: () => {
        this.#isOpen = true;
        this.#reportStart();
      },
    });
  }

  get result(): Promise<RunResult> {
    return this.#run.result;
  }

  get workerPids(): readonly number[] {
    return this.#processes.pids;
  }

  async start(choices: RunChoices): Promise<void> {
    await this.#processes.boot();
    const [data] = await Promise.all([this.#openData(), this.#processes.connect()]);
    this.#data = data;
    const { purpose } = choices;
    // A question is one pass, over one sequence.
    this.#heldOut = purpose === 'generate' ? 1 : evaluationSequences(this.#topology, data.source.batches);
    const known = { ...choices, evaluationSequences: this.#heldOut };
    const { tokenizer, corpusSha256 } = data;
    const { checkpoints, resumeFrom, weightsFrom, peakFlops } = this.#options;
    this.#processes.tell({ choices: known, data: { tokenizer, corpusSha256 } });
    this.#run.start({
      job: jobOf(this.#topology, known),
      peakFlops,
      store: {
        storage: checkpoints?.storage ?? null,
        folder: checkpoints?.folder ?? '',
        keep: this.#topology.checkpoint.keep,
        tokenizer: tokenizer === null ? null : new TextEncoder().encode(tokenizer),
        corpusSha256,
        resumeFrom: resumeFrom ?? weightsFrom ?? null,
      },
    });
  }

  stop(reason: StopReason): void {
    this.#run.stop(reason);
  }

  abort(): Promise<void> {
    return this.#run.abort();
  }

  logits(context: readonly number[]): Promise<Float32Array> {
    return this.logitsOf([context]);
  }

  async logitsOf(
    contexts: readonly (readonly number[])[],
    sources: readonly (readonly number[])[] = [],
  ): Promise<Float32Array> {
    await Promise.race([this.#ready, this.#run.result]);
    return this.#run.logits(contexts, sources);
  }

  sent(): Sent {
    return this.#processes.sent();
  }

  look(): RunLook | null {
    return this.#run.look(systemClock().now());
  }

  dataWarnings(): readonly string[] {
    const { resumeFrom, weightsFrom } = this.#options;
    const isTokenizerGiven = (resumeFrom ?? weightsFrom) != null;
    return this.#data === null ? [] : dataWarnings(this.#topology, this.#data.source, isTokenizerGiven);
  }

  statistics(): DataStatistics {
    assert(this.#data !== null, 'a launch that began has its data');
    return this.#data.source.statistics();
  }

  #openData(): Promise<RunData> {
    return openRunData(this.#topology, {
      ...this.#options,
      progress: (progress) => {
        if (this.#pace.isDue()) this.#run.report({ event: 'progress', ...progress });
      },
      warn: (message) => this.#run.report({ event: 'warning', message }),
    });
  }

  #hear(event: RunEvent): unknown {
    if (event.event === 'step') this.#recorder?.step(event.step, event.tokens / event.tokensPerSecond);
    // What the trainer reports ends an evaluation, if one was under way.
    if (event.event !== 'progress' && event.event !== 'warning') this.#pace.begin();
    return this.#options.report(event);
  }

  /** Passes are dealt to the replicas in turn, so that the furthest of them says how far all are. */
  #reportEvaluating(sequence: number): void {
    const of = this.#heldOut;
    const done = Math.min(sequence, of);
    if (this.#pace.isDue())
      this.#run.report({ event: 'progress', task: 'evaluating', unit: 'sequences', done, of });
  }

  /** Once: when every worker has said what it runs on and the first step opens. */
  #reportStart(): void {
    const { devices } = this.#processes;
    if (this.#isStartReported || !this.#isOpen || devices.length < this.#processes.count) return;
    this.#isStartReported = true;
    const names = [...new Set(devices.map(({ device }) => device))];
    const reasons = [...new Set(devices.map(({ reason }) => reason))];
    this.#run.report(
      startEvent(this.#topology, {
        device: `${devices.length} × ${names.join(', ')}`,
        reason: reasons.join('; '),
        processes: devices.length,
      }),
    );
  }
}

/** Begins the agent's part of a profile, if one was asked for. */
function openRecorder(
  { parallel }: ResolvedTopology,
  { profile }: LaunchOptions,
  logger: Logger,
): Recorder | null {
  if (profile === undefined) return null;
  // What a run that was killed left behind belongs to another profile.
  for (const path of partPaths(profile, parallel.world)) rmSync(path, { force: true });
  const recorder = new Recorder(profile, leadNode, logger);
  recorder.begin(leadNode, null);
  return recorder;
}
