import { rmSync } from 'node:fs';
import { assert, type FolderLock, type Logger } from '@troupe/core';
import type { DataStatistics } from '@troupe/data';
import type { RunEvent, StepEvent } from '@troupe/telemetry';
import { leadNode, type ResolvedTopology } from '@troupe/topology';
import { dataWarnings } from '../data-warnings.ts';
import { checkpointMustFit, firstOf } from '../first-state.ts';
import { evaluationSequences, jobOf, type RunChoices } from '../job.ts';
import { Pace } from '../pace.ts';
import { systemClock } from '../ports/clock.ts';
import { partPaths, Recorder } from '../profile/recorder.ts';
import { openRunData, type RunData } from '../run-data.ts';
import { exitCodes, type RunResult } from '../run-result.ts';
import { AfterLoss } from '../relayout/after-loss.ts';
import { keepingOpened, mustFollow } from '../relayout/must-follow.ts';
import type { RelayoutList } from '../relayout/relayout-list.ts';
import type { RelayoutOutcome, RelayoutReason, RelayoutRecord } from '../relayout/relayout.ts';
import { Relayouts } from '../relayout/relayouts.ts';
import { ReportedSteps } from '../run/reported-steps.ts';
import type { RunMetrics } from '../run/run-metrics.ts';
import type { RunLook } from '../run/run-view.ts';
import type { StopReason } from '../run/run.ts';
import { HeldState } from './held-state.ts';
import { LaidOutRun, type LaidOutWork } from './laid-out-run.ts';
import type { LaunchOptions } from './launch-options.ts';
import type { Sent } from './launched-processes.ts';

export interface LaunchedPorts {
  readonly logger: Logger;
  readonly lock: FolderLock | null;
  readonly metrics: RunMetrics | null;
  readonly list: RelayoutList | null;
}

/**
 * A launched run: its layouts one after another, of which people see one run.
 *
 * RLY-6: lock, metrics, data and result are of all its layouts, and every line is reported once.
 */
export class LaunchedRun {
  readonly result: Promise<RunResult>;
  readonly #options: LaunchOptions;
  readonly #ports: LaunchedPorts;
  /** The layout that it was launched in. */
  readonly #first: ResolvedTopology;
  readonly #clock = systemClock();
  readonly #pace = new Pace(() => this.#clock.now());
  readonly #logger: Logger;
  readonly #recorder: Recorder | null;
  readonly #held: HeldState;
  readonly #relayouts: Relayouts;
  readonly #afterLoss: AfterLoss;
  readonly #reported = new ReportedSteps();
  #isOld: (event: RunEvent) => boolean = () => false;
  /** In its present layout. */
  #laid: LaidOutRun;
  #choices: RunChoices | null = null;
  /** Held-out sequences that an evaluation reads. */
  #heldOut = 0;
  #data: RunData | null = null;
  /** What layouts before have put on the wire. */
  #sent: Sent = { bytes: 0, messages: 0 };
  #last: StepEvent | null = null;
  /** Why it is to end; null: nobody has asked. */
  #asked: StopReason | null = null;
  #isStartReported = false;
  #markReady: () => void = () => {};
  readonly #ready = new Promise<void>((resolve) => (this.#markReady = resolve));

  constructor(topology: ResolvedTopology, options: LaunchOptions, ports: LaunchedPorts) {
    this.#first = topology;
    this.#options = options;
    this.#ports = ports;
    this.#logger = ports.logger.child({ node: leadNode });
    this.#recorder = openRecorder(topology, options, this.#logger);
    this.#held = new HeldState(options);
    this.#relayouts = new Relayouts(topology, {
      list: ports.list,
      nowMs: () => this.#clock.now(),
      report: (event) => this.#laid.report(event),
      save: () => this.#laid.stop('interrupted'),
      afterFailure: (failed) => this.#afterLoss.after(failed),
    });
    this.#afterLoss = new AfterLoss(topology, {
      hasState: () => topology.recovery.fromStart || this.#held.isSaved,
      fail: (error) => this.#laid.fail(error),
    });
    this.#laid = this.#layOut(topology);
    this.result = this.#runAll();
  }

  get workerPids(): readonly number[] {
    return this.#laid.pids;
  }

  get topology(): ResolvedTopology {
    return this.#relayouts.present;
  }

  get relayouts(): readonly RelayoutRecord[] {
    return this.#relayouts.all;
  }

  async start(choices: RunChoices): Promise<void> {
    this.#choices = choices;
    this.#ports.metrics?.onProblem((message) => this.#laid.report({ event: 'warning', message }));
    await this.#laid.start(async () => {
      this.#data = await this.#openData();
      const { resumeFrom, weightsFrom, peakFlops } = this.#options;
      return { ...this.#workOf(choices), resumeFrom: resumeFrom ?? weightsFrom ?? null, peakFlops };
    });
  }

  async relayout(
    next: ResolvedTopology,
    why: RelayoutReason,
    begun: () => void = () => {},
  ): Promise<RelayoutOutcome> {
    return this.#relayouts.ask(this.checkedRelayout(next), why, begun);
  }

  checkedRelayout(next: ResolvedTopology): ResolvedTopology {
    assert(this.#choices !== null, 'a launch that began has choices');
    mustFollow({ present: this.topology, next }, this.#options, this.#choices);
    return keepingOpened(this.topology, next);
  }

  stop(reason: StopReason): void {
    this.#asked = reason;
    this.#laid.stop(reason);
  }

  async abort(): Promise<void> {
    this.#asked ??= 'interrupted';
    await this.#laid.abort();
    await this.result;
  }

  logits(context: readonly number[]): Promise<Float32Array> {
    return this.logitsOf([context]);
  }

  async logitsOf(
    contexts: readonly (readonly number[])[],
    sources: readonly (readonly number[])[] = [],
  ): Promise<Float32Array> {
    await Promise.race([this.#ready, this.result]);
    return this.#laid.logitsOf(contexts, sources);
  }

  sent(): Sent {
    return sumOf(this.#sent, this.#laid.sent());
  }

  look(): RunLook | null {
    return this.#laid.look();
  }

  dataWarnings(): readonly string[] {
    const { resumeFrom, weightsFrom } = this.#options;
    const isTokenizerGiven = (resumeFrom ?? weightsFrom) != null;
    return this.#data === null ? [] : dataWarnings(this.topology, this.#data.source, isTokenizerGiven);
  }

  statistics(): DataStatistics {
    assert(this.#data !== null, 'a launch that began has its data');
    return this.#data.source.statistics();
  }

  async #runAll(): Promise<RunResult> {
    try {
      return await this.#goOn();
    } finally {
      await this.#close();
    }
  }

  /** Layout after layout; never rejects. */
  async #goOn(): Promise<RunResult> {
    for (;;) {
      const ended = await this.#laid.result;
      const { step, loss } = this.#last ?? ended;
      const result = { ...ended, step: Math.max(step, ended.step), loss: ended.loss ?? loss };
      const next = this.#relayouts.after(result, this.#asked !== null);
      if (next !== null) await this.#goOnIn(next);
      else if (this.#asked === null || result.error !== null) return result;
      else
        return {
          ...result,
          exitCode: result.exitCode === exitCodes.ok ? exitCodes.ok : exitCodes[this.#asked],
        };
    }
  }

  /** What keeps it from starting is its result. */
  async #goOnIn(topology: ResolvedTopology): Promise<void> {
    this.#sent = sumOf(this.#sent, this.#laid.sent());
    this.#isOld = this.#reported.asOfNow();
    this.#laid = this.#layOut(topology);
    try {
      await this.#laid.start(() => this.#heldWork(topology));
    } catch (error) {
      this.#laid.fail(error);
    }
  }

  /** The state that the layout before has left. */
  async #heldWork(topology: ResolvedTopology): Promise<LaidOutWork> {
    const { peakFlops } = this.#options;
    const devices = topology.parallel.world / this.#first.parallel.world;
    const state = await this.#held.open();
    assert(this.#choices !== null, 'a launch that began has choices');
    const choices = { ...this.#choices, first: firstOf(state, topology) };
    checkpointMustFit(jobOf(topology, choices), state);
    return {
      ...this.#workOf(choices),
      resumeFrom: state.resumeFrom ?? state.weightsFrom ?? null,
      // Of as many devices as there are now.
      peakFlops: peakFlops === null ? null : peakFlops * devices,
    };
  }

  #workOf(choices: RunChoices): Pick<LaidOutWork, 'choices' | 'data'> {
    assert(this.#data !== null, 'data are read once');
    const { batches } = this.#data.source;
    // A question is one pass, over one sequence.
    this.#heldOut = choices.purpose === 'generate' ? 1 : evaluationSequences(this.topology, batches);
    return { choices: { ...choices, evaluationSequences: this.#heldOut }, data: this.#data };
  }

  #layOut(topology: ResolvedTopology): LaidOutRun {
    return new LaidOutRun(topology, this.#options, {
      logger: this.#logger,
      recorder: this.#recorder,
      report: (event) => {
        if (event.event === 'step') this.#relayouts.stepped(event.step);
        return this.#isOld(event) ? undefined : this.#hear(event);
      },
      evaluating: (sequence) => this.#reportEvaluating(sequence),
      overdue: (away) => this.#afterLoss.overdue(topology, away),
      opened: () => this.#relayouts.opened(),
      changed: () => this.#reportStart(),
      ready: () => this.#markReady(),
    });
  }

  #openData(): Promise<RunData> {
    return openRunData(this.topology, {
      ...this.#options,
      progress: (progress) => {
        if (this.#pace.isDue()) this.#laid.report({ event: 'progress', ...progress });
      },
      warn: (message) => this.#laid.report({ event: 'warning', message }),
    });
  }

  #hear(event: RunEvent): unknown {
    this.#reported.note(event);
    this.#held.note(event);
    if (event.event === 'step') {
      this.#last = event;
      this.#recorder?.step(event.step, event.tokens / event.tokensPerSecond);
    }
    // What the trainer reports ends an evaluation, if one was under way.
    if (event.event !== 'progress' && event.event !== 'warning') this.#pace.begin();
    this.#ports.metrics?.write(event);
    return this.#options.report(event);
  }

  /** Passes are dealt to the replicas in turn, so that the furthest of them says how far all are. */
  #reportEvaluating(sequence: number): void {
    const of = this.#heldOut;
    const done = Math.min(sequence, of);
    if (this.#pace.isDue())
      this.#laid.report({ event: 'progress', task: 'evaluating', unit: 'sequences', done, of });
  }

  /** Once: a relayout has an event of its own. */
  #reportStart(): void {
    const event = this.#isStartReported ? null : this.#laid.startEvent();
    if (event === null) return;
    this.#isStartReported = true;
    this.#laid.report(event);
  }

  async #close(): Promise<void> {
    const { metrics, lock } = this.#ports;
    await metrics?.close();
    await this.#held.close();
    await lock?.release();
  }
}

const sumOf = (a: Sent, b: Sent): Sent => ({ bytes: a.bytes + b.bytes, messages: a.messages + b.messages });

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
