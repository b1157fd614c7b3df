import { assert, callBack, type TroupeError } from '@troupe/core';
import type { RunEvent, StepEvent } from '@troupe/telemetry';
import type { ResolvedTopology } from '@troupe/topology';
import { ActorViews, type ActorView } from './actor-view.ts';
import { checkClusterOptions, type ClusterOptions } from './cluster-options.ts';
import { RunLockedError } from './errors.ts';
import { EventLog } from './event-log.ts';
import { checkTopology } from './option-rules.ts';
import { lockOf } from './run-lock.ts';
import type { RunResult } from './run-result.ts';
import { openHostedRun, type HostedRun } from './run/hosted-run.ts';
import { localLives } from './run/lives.ts';

/** A run in this process: the same actors as `troupe launch`, over memory instead of sockets. */
export interface Cluster {
  /** Steps as they are committed, from the first of this run; ends with it. Every loop over it reads a stream of its own (`EventLog`). */
  steps(): AsyncIterable<StepEvent>;
  /** Everything that a run reports, likewise. */
  events(): AsyncIterable<RunEvent>;
  /** Every actor of the run, where it lives and what it does now; see {@link ActorView}. */
  actors(): readonly ActorView[];
  /** Finishes the open step, writes a checkpoint where these are on, and ends. */
  stop(): void;
  /** Ends with the run; never rejects. */
  readonly result: Promise<RunResult>;
}

/**
 * Trains a topology in this process.
 *
 * What own code throws later, a gate, an expert, a source of tokens or a callback, ends the run: `result` then holds it as the `cause` of a
 * {@link UserCodeError}.
 *
 * @throws {OptionError} TROUPE_OPTION with every option that is not what it has to be
 * @throws {TroupeError} what is wrong with the topology, its data or its devices, before anything starts
 */
export async function startCluster(
  topology: ResolvedTopology,
  options: ClusterOptions = {},
): Promise<Cluster> {
  checkTopology('startCluster', topology);
  checkClusterOptions('startCluster', options);
  const { checkpoints = null, sink, onMounted, ...rest } = options;
  const cluster = new LocalCluster(sink);
  const folder = checkpoints?.folder ?? '';
  const lock = await lockOf(checkpoints, () =>
    cluster.fail(new RunLockedError(folder, 'another process took over while this one was stopped')),
  );
  try {
    const hosted = await openHostedRun(
      topology,
      {
        ...rest,
        lock,
        ...(checkpoints === null ? {} : { checkpoints, storage: () => checkpoints.storage }),
        report: (event) => cluster.see(event),
        begun: (system) => cluster.views.begun(system),
      },
      localLives(),
    );
    cluster.start(hosted, onMounted);
  } catch (error) {
    await cluster.abandon();
    await lock?.release();
    throw error;
  }
  return cluster;
}

/** What a program sees of its run. */
class LocalCluster implements Cluster {
  readonly views = new ActorViews(
    () => this.#hosted?.processes.systems ?? new Map(),
    (what, run) => callBack(what, run, (error) => this.fail(error)),
  );
  readonly #sink: ClusterOptions['sink'];
  readonly #events = new EventLog<RunEvent>();
  readonly #steps = new EventLog<StepEvent>();
  #hosted: HostedRun | null = null;
  #result: Promise<RunResult> | null = null;

  constructor(sink: ClusterOptions['sink']) {
    this.#sink = sink;
  }

  start(hosted: HostedRun, onMounted: ClusterOptions['onMounted']): void {
    this.#hosted = hosted;
    const { run, processes } = hosted;
    this.#result = run.result.then((result) => {
      this.#events.end();
      this.#steps.end();
      return result;
    });
    hosted.start();
    callBack(
      'the option onMounted',
      () => onMounted?.(processes.workers),
      (error) => run.fail(error),
    );
  }

  get result(): Promise<RunResult> {
    assert(this.#result !== null, 'a cluster is given out when it has started');
    return this.#result;
  }

  steps(): AsyncIterable<StepEvent> {
    return this.#steps.stream();
  }

  events(): AsyncIterable<RunEvent> {
    return this.#events.stream();
  }

  actors(): readonly ActorView[] {
    return this.views.list();
  }

  stop(): void {
    this.#hosted?.run.stop();
  }

  see(event: RunEvent): unknown {
    try {
      return this.#sink?.(event);
    } finally {
      this.#events.push(event);
      if (event.event === 'step') this.#steps.push(event);
    }
  }

  /** Closes what was opened for a run that does not start. */
  async abandon(): Promise<void> {
    await this.#hosted?.run.abort();
  }

  fail(error: TroupeError): void {
    this.#hosted?.run.fail(error);
  }
}
