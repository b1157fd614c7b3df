import {
  agentNode,
  mountAgent,
  mountWorker,
  workerNode,
  addresses,
  type Job,
  type RunFailure,
  type TokenSource,
} from '@troupe/actors';
import {
  assert,
  callBack,
  nodeId,
  OptionError,
  serializeError,
  silentLogger,
  type Address,
  type Logger,
  type NodeId,
  type Storage,
  type Transport,
  type TroupeError,
} from '@troupe/core';
import type { Device } from '@troupe/kernel-set';
import { loadDevice } from '@troupe/kernels';
import type { ActorSystem } from '@troupe/runtime';
import { parameterCounts, trainingFlopsPerToken } from '@troupe/spec';
import type { RunEvent, StepEvent } from '@troupe/telemetry';
import { createPlacement, defaultHome, workerRank, type ResolvedTopology } from '@troupe/topology';
import { createMemoryNetwork } from '@troupe/transport';
import { ActorViews, type ActorView } from './actor-view.ts';
import {
  checkClusterOptions,
  type ClusterOptions,
  type ClusterPorts,
  type LifePorts,
  type Replica,
} from './cluster-options.ts';
import { ExpertDeviceError, RunLockedError } from './errors.ts';
import { EventLog } from './event-log.ts';
import { checkpointMustFit, firstOf } from './first-state.ts';
import { guardedLogger } from './guarded-logger.ts';
import { evaluationSequences, jobOf, lossLimit } from './job.ts';
import { createJobSystem } from './job-system.ts';
import { checkTopology } from './option-rules.ts';
import { openOwnDevice } from './own-device.ts';
import { OwnTokens } from './own-tokens.ts';
import { mustFit } from './machine-memory.ts';
import { systemClock } from './ports/clock.ts';
import { lockOf } from './run-lock.ts';
import { openRunData, type RunData } from './run-data.ts';
import { failureOf, failureResult, resultOf, type RunResult } from './run-result.ts';

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

const localPorts = (): ClusterPorts => {
  const clock = systemClock();
  const network = createMemoryNetwork({ clock });
  return {
    open: (node, incarnation) => ({
      clock,
      transport: network.connect(node, incarnation),
      schedule: (run) => void setImmediate(run),
    }),
    use: 'launch',
    boot: (_node, run) => void setImmediate(run),
    // Nothing ends a part of this process.
    onExit: () => {},
  };
};

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
  let cluster: LocalCluster | null = null;
  const lock = await lockOf(options.checkpoints ?? null, () => cluster?.abandon());
  try {
    cluster = await openCluster(topology, options);
  } catch (error) {
    await lock?.release();
    throw error;
  }
  void cluster.result.then(() => lock?.release());
  return cluster;
}

async function openCluster(topology: ResolvedTopology, options: ClusterOptions): Promise<LocalCluster> {
  const logger = options.logger ?? silentLogger;
  const { checkpoints } = options;
  const first = firstOf(options);
  if (options.stopAfter !== undefined && options.stopAfter < first.step)
    throw new OptionError('startCluster', [
      `stopAfter is ${options.stopAfter}, and the checkpoint to go on from holds step ${first.step}`,
    ]);
  // A simulation asks by itself, and own devices hold what they hold.
  if (options.ports === undefined && options.openDevice === undefined) mustFit(topology, 'embed');
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const data = options.tokens === undefined ? await openRunData(topology, { ...options, warn }) : null;
  const source = data?.source.batches ?? options.tokens;
  assert(source, "tokens are a program's own or come from the data");
  const rules = {
    ...(options.gate === undefined ? {} : { gate: options.gate }),
    ...(options.expert === undefined ? {} : { expert: options.expert }),
  };
  const job = jobOf(
    topology,
    {
      stopAfter: Math.min(options.stopAfter ?? topology.train.steps, topology.train.steps),
      first,
      evaluationSequences:
        'validTargets' in source ? evaluationSequences(topology, source as never) : source.numEvalSequences,
      checkpoints: checkpoints !== undefined,
    },
    rules,
    options.ports?.use,
  );
  checkpointMustFit(job, options);
  const { workers } = createPlacement(topology);
  const own = options.openDevice;
  const openDevice = (dp: number): Promise<Device> =>
    own === undefined
      ? loadDevice({ body: topology.device, threads: workers[dp]?.device.threads ?? 1 })
      : openOwnDevice(own, dp);
  const devices = await openDevices(workers.length, openDevice);
  const wrong = devices.find(({ info }) => info.body !== (options.expert?.body ?? info.body));
  if (options.expert?.body !== undefined && wrong !== undefined) {
    await Promise.all(devices.map((device) => device.close()));
    throw new ExpertDeviceError(options.expert.name, options.expert.body, wrong.info);
  }
  return new LocalCluster(topology, job, {
    ...options,
    logger,
    tokens: 'validTargets' in source ? source : new OwnTokens(source, topology.model),
    data,
    warnings,
    devices,
    ports: options.ports ?? localPorts(),
  });
}

/** One device a replica; when one does not open, those that did are closed. */
async function openDevices(count: number, open: (dp: number) => Promise<Device>): Promise<readonly Device[]> {
  const opened = await Promise.allSettled(Array.from({ length: count }, async (_, dp) => open(dp)));
  const devices = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failed = opened.find((each) => each.status === 'rejected');
  if (failed === undefined) return devices;
  await Promise.all(devices.map((device) => device.close()));
  throw failed.reason;
}

interface LocalOptions extends Omit<ClusterOptions, 'tokens'> {
  readonly logger: Logger;
  readonly tokens: TokenSource;
  /** null with own tokens. */
  readonly data: RunData | null;
  readonly warnings: readonly string[];
  readonly devices: readonly Device[];
  readonly ports: ClusterPorts;
}

/** What a checkpoint carries as `tokenizer.json`. */
function tokenizerFile({ checkpoints, data }: LocalOptions): Uint8Array | null {
  if (checkpoints?.tokenizer !== undefined) return checkpoints.tokenizer;
  return data?.tokenizer == null ? null : new TextEncoder().encode(data.tokenizer);
}

/** A life with its ports and a system that has no actors yet. */
interface Begun {
  readonly system: ActorSystem;
  readonly life: LifePorts;
}

/** Every home is computed once for all nodes of this process, and is one string: computing it was a tenth of sending a message. */
function remembered(home: ReturnType<typeof defaultHome>): ReturnType<typeof defaultHome> {
  const known = new Map<Address, NodeId>();
  return (address) => {
    let node = known.get(address);
    if (node === undefined) {
      node = home(address);
      known.set(address, node);
    }
    return node;
  };
}

class LocalCluster implements Cluster {
  readonly result: Promise<RunResult>;
  readonly #events = new EventLog<RunEvent>();
  readonly #steps = new EventLog<StepEvent>();
  readonly #topology: ResolvedTopology;
  readonly #job: Job;
  readonly #options: LocalOptions;
  readonly #agent: ActorSystem;
  readonly #lives = new Map<NodeId, ActorSystem>();
  readonly #views = new ActorViews(
    () => this.#lives,
    (what, run) => this.#call(what, run),
  );
  readonly #wanted = new Map<NodeId, number>();
  readonly #replicas: Replica[] = [];
  readonly #transports: Transport[] = [];
  readonly #home: ReturnType<typeof defaultHome>;
  #ended = false;
  #finish: (result: RunResult) => void = () => {};
  #last: StepEvent | null = null;
  /** What failed an actor first, as it was thrown: a failure travels without its cause. */
  #thrown: { readonly error: TroupeError; readonly actor: Address } | null = null;

  constructor(topology: ResolvedTopology, job: Job, options: LocalOptions) {
    this.#home = remembered(defaultHome(topology));
    this.result = new Promise<RunResult>((resolve) => (this.#finish = resolve)).then(async (result) => {
      this.#ended = true;
      for (const system of this.#lives.values()) system.stop();
      await Promise.allSettled(this.#transports.map((transport) => transport.close(1000)));
      const closed = await Promise.allSettled(options.devices.map(async (device) => device.close()));
      for (const each of closed)
        if (each.status === 'rejected')
          this.#options.logger.warn('device not closed', { error: serializeError(each.reason) });
      this.#events.end();
      this.#steps.end();
      return result;
    });
    const { ports } = options;
    this.#topology = topology;
    this.#job = job;
    this.#options = {
      ...options,
      logger: guardedLogger(options.logger, (error) => this.#end(error)),
    };
    const agent = this.#begin(agentNode, 1);
    this.#agent = agent.system;
    const workers = options.devices.map((_, dp) => this.#begin(workerNode(dp), 1));
    ports.onExit((node, incarnation, reason) =>
      this.#agent.tell(addresses.supervisor, 'worker.lost', { body: { node, incarnation, reason } }),
    );
    const first = options.devices[0];
    const counts = parameterCounts(job.model);
    this.#report({
      event: 'start',
      device: first?.info.name ?? 'none',
      reason: first?.info.reason ?? '',
      processes: 0,
      paramsTotal: counts.total,
      paramsActive: counts.active,
    });
    for (const message of options.warnings) this.#report({ event: 'warning', message });
    mountAgent(this.#agent, job, {
      storage: (options.checkpoints?.storage ?? agent.life.storage?.()) as Storage,
      trainer: {
        report: (event) => this.#report(event),
        finished: (outcome) => this.#finish(resultOf(outcome)),
        peakFlops: null,
        flopsPerToken: trainingFlopsPerToken(job.model),
      },
      store: {
        folder: options.checkpoints?.folder ?? '',
        keep: options.checkpoints?.keep ?? 1,
        topology: topology.portable,
        tokenizer: tokenizerFile(options),
        corpusSha256: options.data?.corpusSha256 ?? null,
        ...(options.checkpoints?.hasher === undefined ? {} : { hasher: options.checkpoints.hasher }),
        resumeFrom: options.resumeFrom ?? options.weightsFrom ?? null,
      },
      supervisor: {
        failed: (failure) => this.#failed(failure),
        ...(options.watch ?? { heartbeatMs: 60_000, silenceMs: 600_000 }),
        position: () => `after step ${this.#last?.step ?? job.first.step}`,
        limit: lossLimit(topology),
        restart: (node, incarnation) => this.#restart(node, incarnation),
      },
    });
    ports.mounted?.(this.#agent);
    workers.forEach((worker, dp) => this.#mountWorker(dp, worker, false));
    this.#agent.listen();
    for (const { system } of workers) system.listen();
    this.#call('the option onMounted', () => options.onMounted?.(this.#replicas));
  }

  steps(): AsyncIterable<StepEvent> {
    return this.#steps.stream();
  }

  events(): AsyncIterable<RunEvent> {
    return this.#events.stream();
  }

  actors(): readonly ActorView[] {
    return this.#views.list();
  }

  stop(): void {
    this.#agent.tell(addresses.trainer, 'run.stop');
  }

  /** Ends at once, without a checkpoint: another process writes them now. */
  abandon(): void {
    const error = new RunLockedError(
      this.#options.checkpoints?.folder ?? '',
      'another process took over while this one was stopped',
    );
    const [step, loss] = [this.#last?.step ?? this.#job.first.step, this.#last?.loss ?? null];
    this.#finish(failureResult(error, step, loss));
  }

  #report(event: RunEvent): void {
    this.#call('the option sink', () => this.#options.sink?.(event));
    this.#events.push(event);
    if (event.event !== 'step') return;
    this.#last = event;
    this.#steps.push(event);
  }

  /** Calls a function of the embedding program; what it throws, or its promise is rejected with, ends the run, not the process. */
  #call(what: string, run: () => unknown): void {
    callBack(what, run, (error) => this.#end(error));
  }

  #end(error: TroupeError): void {
    const step = this.#last?.step ?? this.#job.first.step;
    this.#finish(failureResult(error, step, this.#last?.loss ?? null));
  }

  #failed(failure: RunFailure): void {
    const { code, message, retryable } = failure;
    const { tokens, expert } = this.#options;
    // What a source's promise was rejected with came to its actor by message.
    if (code === 'TROUPE_USER_CODE' && tokens instanceof OwnTokens && tokens.failure !== null)
      return this.#end(tokens.failure);
    const thrown = this.#thrown?.error.code === code ? this.#thrown : null;
    this.#end(failureOf({ code, message, retryable }, thrown, expert?.name ?? null));
  }

  /** The first half of a life: its ports and an empty system; actors are mounted into it before it listens. */
  #begin(node: NodeId, incarnation: number): Begun {
    const { ports, logger, observe, mailboxCapacity } = this.#options;
    const life = ports.open(nodeId(node), incarnation);
    const system = createJobSystem({
      node,
      topology: this.#topology,
      transport: life.transport,
      clock: life.clock,
      logger,
      schedule: (run) => life.schedule(run),
      home: this.#home,
      ...(ports.codec === undefined ? {} : { codec: ports.codec }),
      failed: (error, actor) => (this.#thrown ??= { error, actor }),
      unjudged: (error) => this.#end(error),
      ...(observe === undefined
        ? {}
        : { observe: (turn) => this.#call('the option observe', () => observe(turn)) }),
      ...(mailboxCapacity === undefined ? {} : { mailboxCapacity }),
    });
    this.#lives.get(node)?.stop();
    this.#lives.set(node, system);
    this.#views.begun(system);
    this.#transports.push(life.transport);
    return { system, life };
  }

  /** The second half of a worker's life. */
  #mountWorker(dp: number, { system, life }: Begun, joins: boolean): void {
    const { ports, devices, tokens } = this.#options;
    const device = devices[dp];
    assert(device, 'every replica has its device', { dp });
    this.#replicas[dp] = mountWorker(system, this.#job, {
      worker: workerRank(dp),
      device: life.device?.(device) ?? device,
      tokens,
      joins,
    });
    ports.mounted?.(system);
  }

  /** Begins the next life of a worker; of two asked for before the first is up, only the later one comes. */
  #restart(node: NodeId, incarnation: number): void {
    const { ports } = this.#options;
    const dp = this.#options.devices.findIndex((_, index) => workerNode(index) === node);
    this.#lives.get(node)?.stop();
    this.#wanted.set(node, incarnation);
    ports.boot(node, () => {
      if (this.#ended || this.#wanted.get(node) !== incarnation) return;
      const begun = this.#begin(node, incarnation);
      this.#mountWorker(dp, begun, true);
      begun.system.listen();
      begun.system.tell(addresses.supervisor, 'worker.joined', { body: { node, incarnation } });
    });
  }
}
