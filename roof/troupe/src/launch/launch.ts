import { rmSync } from 'node:fs';
import { addresses, agentNode, mountAgent, workerNode, type Job } from '@troupe/actors';
import {
  assert,
  callBack,
  nodeId,
  TroupeError,
  type FolderLock,
  type Logger,
  type NodeId,
  type Storage,
} from '@troupe/core';
import type { DataStatistics } from '@troupe/data';
import type { ActorSystem } from '@troupe/runtime';
import { parameterCounts, trainingFlopsPerToken } from '@troupe/spec';
import type { RunEvent, StepEvent } from '@troupe/telemetry';
import type { ResolvedTopology } from '@troupe/topology';
import { openZmqTransport, type ZmqTransport } from '@troupe/transport';
import { evaluationSequences, jobOf, lossLimit, type RunChoices } from '../job.ts';
import { checkpointMustFit, firstOf } from '../first-state.ts';
import { lockOf } from '../run-lock.ts';
import { createJobSystem } from '../job-system.ts';
import { dataWarnings } from '../data-warnings.ts';
import { checkTopology } from '../option-rules.ts';
import { mustFit } from '../machine-memory.ts';
import { Pace } from '../pace.ts';
import { openRunData, type RunData } from '../run-data.ts';
import { systemClock } from '../ports/clock.ts';
import { openLogger } from '../ports/open-logger.ts';
import { exitCodes, failureOf, failureResult, resultOf, type RunResult } from '../run-result.ts';
import { partPaths, Recorder } from '../profile/recorder.ts';
import { checkLaunchOptions, type LaunchOptions } from './launch-options.ts';
import { listenAs, type ListeningPlan } from './listening.ts';
import type { NodeEndpoints, WorkerMessage } from './protocol.ts';
import { makeSocketFolder } from './socket-folder.ts';
import { WorkerProcess } from './worker-process.ts';

/** Why a run is stopped from outside; each has an exit code. */
export type StopReason = 'interrupted' | 'terminated' | 'hungUp' | 'quit' | 'outOfTime';

/** A run on worker processes of this machine. */
export interface Launch {
  /** Never rejects; when it ends no process of the run is left. */
  readonly result: Promise<RunResult>;
  /** Finishes the open step, writes a checkpoint, ends with the exit code of the reason (130 for `interrupted`). */
  stop(reason: StopReason): void;
  /** Ends now, without a checkpoint. */
  abort(): Promise<void>;
  readonly workerPids: readonly number[];
  /** Bytes that all processes have put on the wire, as far as they have told. */
  wireBytes(): number;
  /** Sizes of the data, and what simple models reach on them; counts all tokens when called. */
  statistics(): DataStatistics;
  /** What is odd about the data although they can be used: one sentence each. */
  dataWarnings(): readonly string[];
}

const HEARTBEAT_MS = 1000;
/** What a worker gets to say goodbye before it is killed. */
const GRACE_MS = 1000;
/** A stopped or swapped-out process comes back within seconds; longer silence is a loss. */
const SILENCE_MS = 6000;

/**
 * Forks one worker process a device, and hosts trainer, supervisor and store in this one.
 *
 * @throws {OptionError} TROUPE_OPTION with every option that is not what it has to be
 * @throws {TroupeError} what is wrong with the topology or its data, before anything is forked
 */
export async function launch(topology: ResolvedTopology, options: LaunchOptions): Promise<Launch> {
  checkTopology('launch', topology);
  checkLaunchOptions(options);
  const choices = {
    stopAfter: Math.min(options.stopAfter ?? topology.train.steps, topology.train.steps),
    first: firstOf(options),
    evaluationSequences: 0,
    checkpoints: options.checkpoints !== null,
  };
  // Refuses what is not built, or what does not fit, before a process exists.
  checkpointMustFit(jobOf(topology, choices), options);
  mustFit(topology, 'launch');
  const lock = await lockOf(options.checkpoints, () => void run.abort());
  const run: LocalLaunch = new LocalLaunch(topology, options, {
    logger: await openLogger(options.logLevel),
    lock,
  });
  try {
    await run.start(choices);
  } catch (error) {
    await run.abort();
    throw error;
  }
  return run;
}

class LocalLaunch implements Launch {
  readonly result: Promise<RunResult>;
  readonly #topology: ResolvedTopology;
  readonly #options: LaunchOptions;
  readonly #logger: Logger;
  readonly #clock = systemClock();
  readonly #pace = new Pace(() => this.#clock.now());
  /** The present life of every worker, by rank. */
  readonly #workers: WorkerProcess[] = [];
  /** Lives that have ended or are about to. */
  readonly #earlier: Promise<void>[] = [];
  #choices: RunChoices | null = null;
  #plan: ListeningPlan | null = null;
  readonly #listening = new Map<number, NodeEndpoints>();
  readonly #devices = new Map<number, { device: string; reason: string }>();
  #socketFolder: string | null = null;
  #transport: ZmqTransport | null = null;
  #opening: Promise<ZmqTransport> | null = null;
  readonly #recorder: Recorder | null;
  /** Of the folder of its checkpoints, unless somebody else holds it for this run. */
  readonly #lock: FolderLock | null;
  #system: ActorSystem | null = null;
  #job: Job | null = null;
  #data: RunData | null = null;
  #last: StepEvent | null = null;
  #interruption: StopReason = 'interrupted';
  #ended = false;
  #opened = false;
  #finish: (result: RunResult) => void = () => {};
  #allListening: () => void = () => {};
  #startFailed: (error: TroupeError) => void = () => {};

  constructor(
    topology: ResolvedTopology,
    options: LaunchOptions,
    { logger, lock }: { readonly logger: Logger; readonly lock: FolderLock | null },
  ) {
    this.#topology = topology;
    this.#lock = lock;
    this.#options = options;
    this.#logger = logger.child({ node: agentNode });
    // What a run that was killed left behind belongs to another profile.
    if (options.profile !== undefined)
      for (const path of partPaths(options.profile, topology.parallel.world)) rmSync(path, { force: true });
    this.#recorder =
      options.profile === undefined ? null : new Recorder(options.profile, agentNode, this.#logger);
    this.#recorder?.begin(agentNode, null);
    this.result = new Promise<RunResult>((resolve) => (this.#finish = resolve)).then(async (result) => {
      await this.#cleanUp();
      return result;
    });
  }

  get workerPids(): readonly number[] {
    return this.#workers.map((worker) => worker.pid);
  }

  async start(choices: RunChoices): Promise<void> {
    const folder = await makeSocketFolder();
    this.#socketFolder = folder;
    process.once('exit', this.#leaveNothing);
    const { port } = this.#topology.wire;
    const plan = { socketFolder: folder, port: port === 'auto' ? null : port };
    this.#plan = plan;
    const { world } = this.#topology.parallel;
    const listening = new Promise<void>((resolve, reject) => {
      this.#allListening = resolve;
      this.#startFailed = reject;
    });
    // The processes boot while this one reads the data.
    for (let rank = 0; rank < world; rank++) this.#workers.push(this.#fork(rank, 1, plan));
    const opening = openZmqTransport({
      node: nodeId(agentNode),
      incarnation: 1,
      clock: this.#clock,
      logger: this.#logger,
      listen: listenAs(plan, 0),
    });
    // Whatever else fails, cleaning up finds the sockets.
    this.#opening = opening.then((opened) => (this.#transport = opened));
    const [data, transport] = await Promise.all([this.#openData(), this.#opening, listening]);
    this.#data = data;
    this.#places = () => [...this.#listening.values(), { node: agentNode, ...transport.endpoints }];
    transport.setPeers((node) => this.#places().find((place) => place.node === node));
    const full = {
      ...choices,
      evaluationSequences: evaluationSequences(this.#topology, data.source.batches),
    };
    this.#mountAgent(jobOf(this.#topology, full), transport, data);
    this.#choices = full;
    for (const worker of this.#workers) this.#configure(worker);
  }

  #openData(): Promise<RunData> {
    return openRunData(this.#topology, {
      ...this.#options,
      progress: (progress) => {
        if (this.#pace.isDue()) this.#report({ event: 'progress', ...progress });
      },
      warn: (message) => this.#report({ event: 'warning', message }),
    });
  }

  /** Passes are dealt to the replicas in turn, so that the furthest of them says how far all are. */
  #reportEvaluating(sequence: number): void {
    const of = this.#choices?.evaluationSequences ?? 0;
    const done = Math.min(sequence, of);
    if (this.#pace.isDue())
      this.#report({ event: 'progress', task: 'evaluating', unit: 'sequences', done, of });
  }

  #fork(rank: number, incarnation: number, plan: ListeningPlan): WorkerProcess {
    const handlers = {
      message: (message: WorkerMessage) => this.#fromWorker(rank, incarnation, message),
      exited: (reason: string) => this.#workerExited(rank, incarnation, reason),
    };
    const { logLevel, profile } = this.#options;
    const worker = { rank, incarnation, ...plan, logLevel, ...(profile === undefined ? {} : { profile }) };
    return new WorkerProcess(worker, this.#options.spare ?? null, handlers);
  }

  #configure(worker: WorkerProcess): void {
    const data = this.#data;
    assert(this.#choices !== null && data !== null, 'a worker is configured when the run is known');
    worker.send({
      type: 'configure',
      topology: this.#topology,
      choices: this.#choices,
      data: { tokenizer: data.tokenizer, corpusSha256: data.corpusSha256 },
      endpoints: this.#places(),
    });
  }

  /**
   * Ends what is left of a worker's process, which may only be stopped, and forks its next life. It listens where the one before did, so
   * whoever dialled that one finds it.
   */
  #restart(node: NodeId, incarnation: number): void {
    const worker = this.#workers.find(({ rank }) => workerNode(rank) === node);
    const plan = this.#plan;
    assert(worker && plan !== null, 'a worker of this run was lost', { node });
    this.#earlier.push(this.#replace(worker, incarnation, plan));
  }

  async #replace(worker: WorkerProcess, incarnation: number, plan: ListeningPlan): Promise<void> {
    await worker.kill();
    const { rank } = worker;
    if (!this.#ended && this.#workers[rank] === worker)
      this.#workers[rank] = this.#fork(rank, incarnation, plan);
  }

  stop(reason: StopReason): void {
    this.#interruption = reason;
    if (this.#system === null) this.#end({ exitCode: exitCodes[reason], step: 0, loss: null, error: null });
    else this.#system.tell(addresses.trainer, 'run.stop');
  }

  async abort(): Promise<void> {
    this.#end({
      exitCode: exitCodes[this.#interruption],
      step: this.#last?.step ?? 0,
      loss: this.#last?.loss ?? null,
      error: null,
    });
    await this.result;
  }

  wireBytes(): number {
    return this.#wireBytes + (this.#transport?.stats().bytesSent ?? 0);
  }

  dataWarnings(): readonly string[] {
    return this.#data === null ? [] : dataWarnings(this.#topology, this.#data.source);
  }

  statistics(): DataStatistics {
    assert(this.#data !== null, 'a launch that began has its data');
    return this.#data.source.statistics();
  }

  #wireBytes = 0;
  #startReported = false;
  #places: () => readonly NodeEndpoints[] = () => [];

  #end(result: RunResult): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#finish(result);
  }

  async #cleanUp(): Promise<void> {
    this.#system?.stop();
    this.#recorder?.close();
    await Promise.all(this.#earlier);
    await Promise.all(this.#workers.map((worker) => worker.end(this.#clock, GRACE_MS)));
    await this.#opening?.catch(() => {});
    await this.#transport?.close(200);
    this.#leaveNothing();
    process.off('exit', this.#leaveNothing);
    await this.#lock?.release();
  }

  /** A process that leaves without cleaning up leaves no worker and no socket either, unless it is killed. */
  readonly #leaveNothing = (): void => {
    for (const worker of this.#workers) worker.killNow();
    if (this.#socketFolder !== null) rmSync(this.#socketFolder, { recursive: true, force: true });
  };

  #mountAgent(job: Job, transport: ZmqTransport, { tokenizer, corpusSha256 }: RunData): void {
    const { checkpoints, resumeFrom, weightsFrom, peakFlops } = this.#options;
    const topology = this.#topology;
    this.#job = job;
    const system = createJobSystem({
      node: nodeId(agentNode),
      topology,
      transport,
      clock: this.#clock,
      logger: this.#logger,
      schedule: (run) => void setImmediate(run),
      unjudged: (error) => this.#endWith(error),
      ...(this.#recorder === null ? {} : { probe: this.#recorder }),
    });
    this.#system = system;
    mountAgent(system, job, {
      storage: checkpoints?.storage as Storage,
      trainer: {
        report: (event) => {
          if (event.event === 'step') {
            this.#last = event;
            this.#recorder?.step(event.step, event.tokens / event.tokensPerSecond);
          }
          this.#pace.begin();
          this.#report(event);
        },
        opened: () => {
          this.#opened = true;
          this.#reportStart();
        },
        finished: (outcome) => {
          const result = resultOf(outcome);
          this.#end(
            result.exitCode === exitCodes.interrupted
              ? { ...result, exitCode: exitCodes[this.#interruption] }
              : result,
          );
        },
        peakFlops,
        flopsPerToken: trainingFlopsPerToken(job.model),
      },
      store: {
        folder: checkpoints?.folder ?? '',
        keep: topology.checkpoint.keep,
        topology: topology.portable,
        tokenizer: tokenizer === null ? null : new TextEncoder().encode(tokenizer),
        corpusSha256,
        resumeFrom: resumeFrom ?? weightsFrom ?? null,
      },
      supervisor: {
        failed: (failure) => this.#endWith(failureOf(failure, null, null)),
        heartbeatMs: HEARTBEAT_MS,
        silenceMs: SILENCE_MS,
        position: () => this.#position(),
        limit: lossLimit(topology),
        restart: (node, incarnation) => this.#restart(node, incarnation),
      },
    });
    system.listen();
  }

  /** The step that was open, in words. */
  #position(): string {
    const first = this.#job?.first.step ?? 0;
    return `in step ${(this.#last?.step ?? first) + 1}`;
  }

  #endWith(error: TroupeError): void {
    const step = this.#last?.step ?? this.#job?.first.step ?? 0;
    this.#end(failureResult(error, step, this.#last?.loss ?? null));
  }

  /** What the embedding program's own code throws, or its promise is rejected with, ends the run, not the process. */
  #report(event: RunEvent): void {
    callBack(
      'the option report',
      () => this.#options.report(event),
      (error) => this.#endWith(error),
    );
  }

  #workerExited(rank: number, incarnation: number, reason: string): void {
    const node = workerNode(rank);
    if (this.#system === null) {
      this.#startFailed(
        new TroupeError('TROUPE_WORKER_LOST', `${node} ended (${reason}) before the run began`, {
          retryable: true,
        }),
      );
    } else if (!this.#ended) {
      this.#system.tell(addresses.supervisor, 'worker.lost', { body: { node, incarnation, reason } });
    }
  }

  #fromWorker(rank: number, incarnation: number, message: WorkerMessage): void {
    const node = workerNode(rank);
    if (message.type === 'listening') {
      this.#listening.set(rank, message.endpoints);
      const worker = this.#workers[rank];
      if (incarnation > 1 && worker !== undefined) this.#configure(worker);
      else if (this.#listening.size === this.#topology.parallel.world) this.#allListening();
    } else if (message.type === 'ready') {
      this.#devices.set(rank, message);
      this.#reportStart();
    } else if (message.type === 'evaluating') {
      this.#reportEvaluating(message.sequence);
    } else if (message.type === 'left') {
      this.#wireBytes += message.bytesSent;
    } else {
      const { code, message: text, retryable } = message;
      const error = new TroupeError(code, text, { retryable });
      this.#startFailed(error);
      this.#system?.tell(addresses.supervisor, 'actor.failed', {
        body: { actor: node, code, message: text, retryable, node, incarnation },
      });
    }
  }

  /** Once: when every worker has said what it runs on and the first step opens. */
  #reportStart(): void {
    if (this.#startReported || !this.#opened || this.#devices.size < this.#topology.parallel.world) return;
    this.#startReported = true;
    const { model } = this.#topology;
    const counts = parameterCounts(model);
    const names = [...new Set([...this.#devices.values()].map(({ device }) => device))];
    const reasons = [...new Set([...this.#devices.values()].map(({ reason }) => reason))];
    this.#report({
      event: 'start',
      device: `${this.#devices.size} × ${names.join(', ')}`,
      reason: reasons.join('; '),
      processes: this.#devices.size,
      paramsTotal: counts.total,
      paramsActive: counts.active,
    });
  }
}
