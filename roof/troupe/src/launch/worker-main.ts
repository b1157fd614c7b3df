import { setFlagsFromString } from 'node:v8';
import type { Job, TokenSource } from '@troupe/actors';
import { assert, nodeId, serializeError, type Logger } from '@troupe/core';
import type { BatchSource } from '@troupe/data';
import { freeLargeFrames, loadDevice, releaseArrays } from '@troupe/kernels';
import type { ActorSystem } from '@troupe/runtime';
import { createPlacement, workerRank } from '@troupe/topology/worker';
import { openZmqTransport, type Endpoints, type ZmqTransport } from '@troupe/transport';
import { openChosenData } from '../run-data.ts';
import { jobOf } from '../job.ts';
import { createJobSystem } from '../job-system.ts';
import { Pace } from '../pace.ts';
import { systemClock } from '../ports/clock.ts';
import { openLogger } from '../ports/open-logger.ts';
import { Recorder } from '../profile/recorder.ts';
import { reportsOf } from '../run/reports.ts';
import { beginWorker } from '../run/worker-life.ts';
import { surviveClosedTerminal } from './closed-terminal.ts';
import { homeOf } from './homes.ts';
import {
  sealed,
  type AgentMessage,
  type NodeEndpoints,
  type WorkerArguments,
  type WorkerMessage,
} from './protocol.ts';

// Frames that arrive count towards V8's old generation, whose limit is a small multiple of this process's 15 MB of objects: left
// alone, V8 marks the heap twice a step to free what a step receives (quickstart: 6.6k tokens/s with, 9.0k without that).
setFlagsFromString('--heap-growing-percent=3000');

const say = (message: WorkerMessage): void => {
  process.send?.(message);
};

/** Milliseconds for what is queued to leave; the agent does not wait much longer. */
const GOODBYE_MS = 300;

/** The same sequences; the agent is told how far an evaluation has come. */
function toldTokens(batches: BatchSource): TokenSource {
  const pace = new Pace(() => performance.now());
  return {
    trainBatch: (step, first, count) => {
      pace.begin();
      return batches.trainBatch(step, first, count);
    },
    evalBatch: (first, count) => {
      if (pace.isDue()) say({ type: 'evaluating', sequence: first + count });
      return batches.evalBatch(first, count);
    },
  };
}

/** The worker that this process became: one device with the actors of its rank, or the shards of a machine. */
class Worker {
  readonly #worker: WorkerArguments;
  readonly #node: string;
  readonly #clock = systemClock();
  readonly #logger: Logger;
  readonly #recorder: Recorder | null;
  #system: ActorSystem | null = null;

  constructor(worker: WorkerArguments, logger: Logger) {
    const { node, profile } = worker;
    this.#worker = worker;
    this.#node = node;
    this.#logger = logger.child({ node: this.#node });
    this.#recorder = profile === undefined ? null : new Recorder(profile, this.#node, this.#logger);
    // However this process ends, unless it is killed.
    process.on('exit', () => this.#recorder?.close());
    process.on('uncaughtException', (error) => {
      this.fail(error);
      process.exit(1);
    });
  }

  fail(error: unknown): void {
    const { code, message, retryable } = serializeError(error, this.#node);
    this.#logger.error('worker failed', { code, message });
    say({ type: 'failed', code, message, retryable });
  }

  async listen(): Promise<void> {
    const { incarnation, listen, seal, linkMs } = this.#worker;
    const transport = await openZmqTransport({
      node: nodeId(this.#node),
      incarnation,
      clock: this.#clock,
      logger: this.#logger,
      listen,
      ...(seal === null ? {} : sealed(seal)),
      ...(linkMs === undefined ? {} : { giveUpMs: linkMs }),
      onFatal: (error) => this.fail(error),
    });
    process.on('message', (message: AgentMessage) => {
      if (message.type === 'configure') this.#mount(message, transport).catch((error) => this.fail(error));
      if (message.type === 'endpoints') this.#find(message.endpoints, transport);
      if (message.type === 'leave') this.#leave(transport).catch((error) => this.fail(error));
    });
    say({ type: 'listening', endpoints: { node: this.#node, ...transport.endpoints } });
  }

  async #mount(
    message: Extract<AgentMessage, { type: 'configure' }>,
    transport: ZmqTransport,
  ): Promise<void> {
    const { topology, choices } = message;
    const { rank, incarnation, agents } = this.#worker;
    this.#find(message.endpoints, transport);
    const { workers, hosts } = createPlacement(topology);
    const placed = workers[rank];
    const host = hosts.find((each) => each.rank === rank);
    const [device, data] = await Promise.all([
      loadDevice({
        body: placed?.body ?? host?.body ?? topology.device,
        threads: placed?.device.threads ?? host?.threads ?? 1,
      }),
      // A host feeds nobody.
      host === undefined ? openChosenData(topology, message.data) : null,
    ]);
    // Where new weights come from a host, megabytes of frames a step would stay beside what the device was planned to hold.
    if (topology.parallel.offload !== 'none' && host === undefined) freeLargeFrames();
    this.#recorder?.begin(this.#node, device);
    const job: Job = jobOf(topology, choices);
    const system = createJobSystem({
      node: nodeId(this.#node),
      topology,
      reports: reportsOf(job.layout, nodeId(this.#node)),
      home: homeOf(topology, agents),
      transport,
      clock: this.#clock,
      logger: this.#logger,
      schedule: (run) => void setImmediate(run),
      free: releaseArrays,
      ...(this.#recorder === null ? {} : { probe: this.#recorder }),
    });
    this.#system = system;
    const tokens = data === null ? null : toldTokens(data.batches);
    beginWorker(system, job, { worker: workerRank(rank), incarnation, device, tokens });
    say({ type: 'ready', device: device.info.name, reason: device.info.reason });
  }

  #find(places: readonly NodeEndpoints[], transport: ZmqTransport): void {
    const endpoints = new Map(places.map(({ node, ...place }): [string, Endpoints] => [node, place]));
    transport.setPeers((peer) => endpoints.get(peer));
  }

  async #leave(transport: ZmqTransport): Promise<void> {
    this.#system?.stop();
    const { bytesSent, messagesSent } = transport.stats();
    say({ type: 'left', bytesSent, messagesSent });
    await transport.close(GOODBYE_MS);
    process.exit(0);
  }
}

async function begin(self: WorkerArguments): Promise<void> {
  const worker = new Worker(self, await openLogger(self.logLevel));
  await worker.listen().catch((error: unknown) => worker.fail(error));
}

// The agent decides when a run ends; a terminal sends its Ctrl-C, or that it closes, to the whole group.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGXCPU']) process.on(signal, () => {});
surviveClosedTerminal();
// A worker lives as long as the pipe to its agent: when the agent dies, however it dies, the pipe closes and the worker leaves.
process.on('disconnect', () => process.exit(0));
if (!process.connected) process.exit(0);
process.once('message', (message: AgentMessage) => {
  assert(message.type === 'begin', 'a worker is told first which one it is', { type: message.type });
  void begin(message.worker);
});
