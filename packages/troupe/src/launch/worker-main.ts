import { setFlagsFromString } from 'node:v8';
import { addresses, mountWorker, workerNode, type Job } from '@troupe/actors';
import { nodeId, serializeError } from '@troupe/core';
import { loadDevice, releaseArrays } from '@troupe/kernels';
import type { ActorSystem } from '@troupe/runtime';
import { createPlacement } from '@troupe/topology';
import { openZmqTransport, type Endpoints, type ZmqTransport } from '@troupe/transport';
import { openTopologyData } from '../data.ts';
import { jobOf } from '../job.ts';
import { createJobSystem } from '../job-system.ts';
import { systemClock } from '../ports/clock.ts';
import { pinoLogger } from '../ports/logger.ts';
import { Recorder } from '../profile/recorder.ts';
import { listenAs } from './listening.ts';
import type { AgentMessage, WorkerArguments, WorkerMessage } from './protocol.ts';

// Frames that arrive count towards V8's old generation, whose limit is a small multiple of this process's 15 MB of objects: left
// alone, V8 marks the heap twice a step to free what a step receives (quickstart: 6.6k tokens/s with, 9.0k without that).
setFlagsFromString('--heap-growing-percent=3000');

/**
 * One worker process: one device, the actors of one replica.
 *
 * It lives as long as the pipe to its agent: when the agent dies, however it dies, the pipe closes and the worker leaves.
 */
const { rank, incarnation, logLevel, profile, ...listening } = JSON.parse(
  process.argv[2] ?? '{}',
) as WorkerArguments;
const node = workerNode(rank);
const logger = pinoLogger(logLevel).child({ node });
const clock = systemClock();
const recorder = profile === undefined ? null : new Recorder(profile, node, logger);
// However this process ends, unless it is killed.
process.on('exit', () => recorder?.close());

const say = (message: WorkerMessage): void => {
  process.send?.(message);
};

function fail(error: unknown): void {
  const { code, message, retryable } = serializeError(error, node);
  logger.error('worker failed', { code, message });
  say({ type: 'failed', code, message, retryable });
}

process.on('disconnect', () => process.exit(0));
// The agent decides when a run ends; the terminal sends its Ctrl-C to the whole group.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.on('uncaughtException', (error) => {
  fail(error);
  process.exit(1);
});

let mounted: ActorSystem | null = null;

/** Milliseconds for what is queued to leave; the agent does not wait much longer. */
const GOODBYE_MS = 300;

async function leave(transport: ZmqTransport): Promise<void> {
  mounted?.stop();
  say({ type: 'left', bytesSent: transport.stats().bytesSent });
  await transport.close(GOODBYE_MS);
  process.exit(0);
}

async function mount(
  message: Extract<AgentMessage, { type: 'configure' }>,
  transport: ZmqTransport,
): Promise<void> {
  const { topology, choices } = message;
  const endpoints = new Map(
    message.endpoints.map(({ node: name, ...places }): [string, Endpoints] => [name, places]),
  );
  transport.setPeers((peer) => endpoints.get(peer));
  const placed = createPlacement(topology).workers[rank];
  const [device, data] = await Promise.all([
    loadDevice({ body: placed?.body ?? topology.device, threads: placed?.device.threads ?? 1 }),
    openTopologyData(topology),
  ]);
  recorder?.begin(node, device);
  const job: Job = jobOf(topology, choices);
  const system = createJobSystem({
    node,
    topology,
    transport,
    clock,
    logger,
    schedule: (run) => void setImmediate(run),
    free: releaseArrays,
    ...(recorder === null ? {} : { probe: recorder }),
  });
  mounted = system;
  mountWorker(system, job, { dp: rank, device, tokens: data.batches, joins: incarnation > 1 });
  system.listen();
  // Over the connections of this life, so that whatever follows from it travels on them too.
  if (incarnation > 1) system.tell(addresses.supervisor, 'worker.joined', { body: { node, incarnation } });
  say({ type: 'ready', device: device.info.name, reason: device.info.reason });
}

async function main(): Promise<void> {
  const transport = await openZmqTransport({
    node: nodeId(node),
    incarnation,
    clock,
    logger,
    listen: listenAs(listening, rank + 1),
    onFatal: fail,
  });
  process.on('message', (message: AgentMessage) => {
    (message.type === 'leave' ? leave(transport) : mount(message, transport)).catch(fail);
  });
  say({ type: 'listening', endpoints: { node, ...transport.endpoints } });
}

main().catch(fail);
