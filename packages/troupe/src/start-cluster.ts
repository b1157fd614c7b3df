import {
  agentNode,
  mountAgent,
  mountWorker,
  workerNode,
  addresses,
  type ExpertRule,
  type GateRule,
  type Job,
  type TokenSource,
} from '@troupe/actors';
import {
  assert,
  nodeId,
  silentLogger,
  type Address,
  type Clock,
  type Device,
  type Logger,
  type NodeId,
  type Storage,
  type Transport,
} from '@troupe/core';
import type { CheckpointReader, Hasher } from '@troupe/checkpoint';
import { loadDevice } from '@troupe/kernels';

import type { ActorSystem, Turn } from '@troupe/runtime';
import { parameterCounts, trainingFlopsPerToken } from '@troupe/spec';
import type { RunEvent, RunSink, StepEvent } from '@troupe/telemetry';
import { createPlacement, defaultHome, type ResolvedTopology } from '@troupe/topology';
import { createMemoryNetwork } from '@troupe/transport';
import type { Codec } from '@troupe/wire';
import { openTopologyData } from './data.ts';
import { ExpertDeviceError } from './errors.ts';
import { EventStream } from './event-stream.ts';
import { evaluationSequences, jobOf, lossLimit, type Use } from './job.ts';
import { createJobSystem } from './job-system.ts';
import { systemClock } from './ports/clock.ts';
import { failureResult, resultOf, type RunResult } from './run-result.ts';

type Replica = ReturnType<typeof mountWorker>;

/** What an embedding program may choose; every member has a default. */
export interface ClusterOptions {
  /** Step at which to end; default: the schedule's last. */
  readonly stopAfter?: number;
  /** An own router, instead of the top-k of the gate's logits. */
  readonly gate?: GateRule;
  /** An own expert over the same parameters. */
  readonly expert?: ExpertRule;
  /** Own sequences instead of the topology's `data`. */
  readonly tokens?: TokenSource & { readonly numEvalSequences: number };
  /** Where checkpoints go; absent: none are written. */
  readonly checkpoints?: {
    /** Default: what the agent's ports offer. */
    readonly storage?: Storage;
    readonly folder: string;
    readonly keep: number;
    readonly tokenizer: Uint8Array | null;
    /** Default: a thread. */
    readonly hasher?: Hasher;
  };
  /** The checkpoint to go on from. */
  readonly resumeFrom?: CheckpointReader;
  /** One device a replica; default: `loadDevice` for every device of the topology. */
  readonly openDevice?: (dp: number) => Promise<Device>;
  readonly logger?: Logger;
  /** Sees every turn of every actor: who got what in which state. */
  readonly observe?: (turn: Turn) => void;
  /** Gets everything that the run reports, at once. */
  readonly sink?: RunSink;
  /** Events that a mailbox may hold. */
  readonly mailboxCapacity?: number;
  /** Sees the devices and buffers of every replica once they are mounted, in a list that later lives change; for tests and inspection. */
  readonly onMounted?: (replicas: readonly Replica[]) => void;
  /** Other ports than this process's own: what a simulation brings. */
  readonly ports?: ClusterPorts;
  /** How closely workers are watched. Default: a look every minute, lost after ten, since in one process nobody dies alone. */
  readonly watch?: { readonly heartbeatMs: number; readonly silenceMs: number };
}

/** What one life of a node runs on. */
export interface LifePorts {
  readonly clock: Clock;
  readonly transport: Transport;
  schedule(run: () => void): void;
  /** What this life sees of the device of its replica. Default: the device itself. */
  device?(device: Device): Device;
  /** Durable files of the machine. */
  storage?(): Storage;
}

export interface ClusterPorts {
  /** Begins a life of a node; a higher incarnation replaces a lower one. */
  open(node: NodeId, incarnation: number): LifePorts;
  /** Calls back when a new process of a node can begin its next life; never, when its machine is gone for good. */
  boot(node: NodeId, run: () => void): void;
  /** Tells of every process that ended without being asked to. */
  onExit(handler: (node: NodeId, incarnation: number, reason: string) => void): void;
  /** How messages become packets. Default: as between machines. */
  readonly codec?: Codec;
  /** What of a topology these ports can run. */
  readonly use: Use;
  /** Sees the actors of every life. */
  mounted?(system: ActorSystem): void;
}

/** A run in this process: the same actors as `troupe launch`, over memory instead of sockets. */
export interface Cluster {
  /** Steps as they are committed; ends with the run. */
  steps(): AsyncIterable<StepEvent>;
  /** Everything that a run reports. */
  events(): AsyncIterable<RunEvent>;
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
 * @throws {TroupeError} what is wrong with the topology, its data or its devices, before anything starts
 */
export async function startCluster(
  topology: ResolvedTopology,
  options: ClusterOptions = {},
): Promise<Cluster> {
  const logger = options.logger ?? silentLogger;
  const { resumeFrom, checkpoints } = options;
  const tokens = options.tokens ?? (await openTopologyData(topology)).batches;
  const trajectory = resumeFrom?.manifest.trajectory as { readonly adamClock: number } | undefined;
  const rules = {
    ...(options.gate === undefined ? {} : { gate: options.gate }),
    ...(options.expert === undefined ? {} : { expert: options.expert }),
  };
  const job = jobOf(
    topology,
    {
      stopAfter: Math.min(options.stopAfter ?? topology.train.steps, topology.train.steps),
      first: { step: resumeFrom?.manifest.step ?? 0, adamClock: trajectory?.adamClock ?? 0 },
      evaluationSequences:
        'validTargets' in tokens ? evaluationSequences(topology, tokens as never) : tokens.numEvalSequences,
      checkpoints: checkpoints !== undefined,
    },
    rules,
    options.ports?.use,
  );
  const { workers } = createPlacement(topology);
  const openDevice =
    options.openDevice ??
    ((dp: number) => loadDevice({ body: topology.device, threads: workers[dp]?.device.threads ?? 1 }));
  const devices = await Promise.all(Array.from({ length: job.dp }, (_, dp) => openDevice(dp)));
  const wrong = devices.find(({ info }) => info.body !== (options.expert?.body ?? info.body));
  if (options.expert?.body !== undefined && wrong !== undefined) {
    await Promise.all(devices.map((device) => device.close()));
    throw new ExpertDeviceError(options.expert.name, options.expert.body, wrong.info);
  }
  return new LocalCluster(topology, job, {
    ...options,
    logger,
    tokens,
    devices,
    ports: options.ports ?? localPorts(),
  });
}

interface LocalOptions extends Omit<ClusterOptions, 'tokens'> {
  readonly logger: Logger;
  readonly tokens: TokenSource;
  readonly devices: readonly Device[];
  readonly ports: ClusterPorts;
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
  readonly #events = new EventStream<RunEvent>();
  readonly #steps = new EventStream<StepEvent>();
  readonly #topology: ResolvedTopology;
  readonly #job: Job;
  readonly #options: LocalOptions;
  readonly #agent: ActorSystem;
  readonly #lives = new Map<NodeId, { readonly system: ActorSystem }>();
  readonly #wanted = new Map<NodeId, number>();
  readonly #replicas: Replica[] = [];
  readonly #transports: Transport[] = [];
  readonly #sink: RunSink | undefined;
  readonly #home: ReturnType<typeof defaultHome>;
  #ended = false;
  #finish: (result: RunResult) => void = () => {};
  #last: StepEvent | null = null;

  constructor(topology: ResolvedTopology, job: Job, options: LocalOptions) {
    this.#sink = options.sink;
    this.#home = remembered(defaultHome(topology));
    this.result = new Promise<RunResult>((resolve) => (this.#finish = resolve)).then(async (result) => {
      this.#ended = true;
      for (const { system } of this.#lives.values()) system.stop();
      await Promise.all(this.#transports.map((transport) => transport.close(1000)));
      await Promise.all(options.devices.map((device) => device.close()));
      this.#events.end();
      this.#steps.end();
      return result;
    });
    const { ports } = options;
    this.#topology = topology;
    this.#job = job;
    this.#options = options;
    const agent = this.#begin(agentNode, 1);
    this.#agent = agent.system;
    const workers = options.devices.map((_, dp) => this.#begin(workerNode(dp), 1));
    ports.onExit((node, incarnation, reason) =>
      this.#agent.tell(addresses.supervisor, 'worker.lost', { body: { node, incarnation, reason } }),
    );
    const fail = (message: Parameters<typeof failureResult>[0]): void =>
      this.#finish(failureResult(message, this.#last?.step ?? job.first.step, this.#last?.loss ?? null));
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
        topology: topology.file,
        tokenizer: options.checkpoints?.tokenizer ?? null,
        ...(options.checkpoints?.hasher === undefined ? {} : { hasher: options.checkpoints.hasher }),
        resumeFrom: options.resumeFrom ?? null,
      },
      supervisor: {
        failed: fail,
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
    options.onMounted?.(this.#replicas);
  }

  steps(): AsyncIterable<StepEvent> {
    return this.#steps;
  }

  events(): AsyncIterable<RunEvent> {
    return this.#events;
  }

  stop(): void {
    this.#agent.tell(addresses.trainer, 'run.stop');
  }

  #report(event: RunEvent): void {
    this.#sink?.(event);
    this.#events.push(event);
    if (event.event !== 'step') return;
    this.#last = event;
    this.#steps.push(event);
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
      ...(observe === undefined ? {} : { observe }),
      ...(mailboxCapacity === undefined ? {} : { mailboxCapacity }),
    });
    this.#lives.get(node)?.system.stop();
    this.#lives.set(node, { system });
    this.#transports.push(life.transport);
    return { system, life };
  }

  /** The second half of a worker's life. */
  #mountWorker(dp: number, { system, life }: Begun, joins: boolean): void {
    const { ports, devices, tokens } = this.#options;
    const device = devices[dp];
    assert(device, 'every replica has its device', { dp });
    this.#replicas[dp] = mountWorker(system, this.#job, {
      dp,
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
    this.#lives.get(node)?.system.stop();
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
