import { fork, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { address, nodeId, silentLogger, type Clock, type Packet } from '@troupe/core';
import { openZmqTransport, type Endpoints, type Listen } from '@troupe/transport';
import { createCodec } from '@troupe/wire';
import { Pull, Push } from 'zeromq';

/** `bare`: a PUSH/PULL pair of zeromq.js. `transport`: ours, opaque bytes. `coded`: ours with the codec and its checksum on both sides. */
export type WireRival = 'bare' | 'transport' | 'coded';

export interface WireRow {
  readonly link: 'ipc' | 'tcp';
  /** Bytes of the one tensor frame of each message. */
  readonly frameBytes: number;
  readonly numMessages: number;
  readonly rounds: number;
  /** Medians over the rounds. */
  readonly mibPerSecond: Readonly<Record<WireRival, number>>;
  readonly messagesPerSecond: Readonly<Record<WireRival, number>>;
  /** Slowest round, messages per second. */
  readonly messagesPerSecondMin: Readonly<Record<WireRival, number>>;
  /** Median of transport over median of bare. */
  readonly ratio: number;
}

export interface WireBenchResult {
  readonly machine: { readonly cpu: string; readonly numCores: number; readonly node: string };
  readonly rows: readonly WireRow[];
}

interface Order {
  readonly rival: WireRival;
  readonly listen: Listen;
  readonly numMessages: number;
}

interface Run {
  readonly link: 'ipc' | 'tcp';
  readonly frameBytes: number;
  readonly numMessages: number;
}

const rivals: readonly WireRival[] = ['bare', 'transport', 'coded'];
const peerFlag = 'wire-bench-peer';
const kind = 'rows.sent';
const codec = createCodec({ kinds: new Set([kind]) });

const clock: Clock = {
  now: () => performance.now(),
  after: (delayMs, callback) => setTimeout(callback, delayMs)[Symbol.toPrimitive](),
  cancel: (handle) => clearTimeout(handle),
};

/**
 * Measures the data path between two processes against a bare zeromq.js pair, all rivals in turn in every round.
 *
 * The receiver counts and measures from the first message to the last; it checks the length of each frame before it counts it.
 *
 * @param options.size - `small` runs in a few seconds and proves only that it runs; `full` is for numbers
 */
export async function benchWire(options: { readonly size: 'small' | 'full' }): Promise<WireBenchResult> {
  const full = options.size === 'full';
  const rounds = full ? 5 : 1;
  const counts: readonly (readonly [frameBytes: number, numMessages: number])[] = [
    [1024, full ? 200_000 : 5000],
    [64 * 1024, full ? 16_000 : 500],
    [1024 * 1024, full ? 1500 : 50],
    [16 * 1024 * 1024, full ? 100 : 5],
  ];
  const directory = await mkdtemp(join(tmpdir(), 'tw-'));
  const child = fork(fileURLToPath(import.meta.url), [peerFlag]);
  const rows: WireRow[] = [];
  try {
    for (const link of ['ipc', 'tcp'] as const) {
      for (const [frameBytes, numMessages] of counts) {
        rows.push(await measure(child, directory, { link, frameBytes, numMessages }, rounds));
      }
    }
  } finally {
    child.kill();
    await rm(directory, { recursive: true });
  }
  const cpu = cpus()[0]?.model ?? 'unknown';
  return { machine: { cpu, numCores: availableParallelism(), node: process.version }, rows };
}

async function measure(child: ChildProcess, directory: string, run: Run, rounds: number): Promise<WireRow> {
  const rates: Record<WireRival, number[]> = { bare: [], transport: [], coded: [] };
  for (let round = 0; round < rounds; round++) {
    for (const rival of rivals) rates[rival].push(await once(child, directory, run, rival));
  }
  const each = (of: (sorted: number[]) => number): Record<WireRival, number> => ({
    bare: of(rates.bare.sort((a, b) => a - b)),
    transport: of(rates.transport.sort((a, b) => a - b)),
    coded: of(rates.coded.sort((a, b) => a - b)),
  });
  const median = each((sorted) => sorted[Math.floor(sorted.length / 2)]!);
  const mib = (rate: number): number => (rate * run.frameBytes) / 2 ** 20;
  return {
    ...run,
    rounds,
    messagesPerSecond: median,
    mibPerSecond: { bare: mib(median.bare), transport: mib(median.transport), coded: mib(median.coded) },
    messagesPerSecondMin: each((sorted) => sorted[0]!),
    ratio: median.transport / median.bare,
  };
}

/** @returns messages per second of one run */
async function once(child: ChildProcess, directory: string, run: Run, rival: WireRival): Promise<number> {
  const listen: Listen = run.link === 'ipc' ? { kind: 'ipc', directory } : { kind: 'tcp', host: '127.0.0.1' };
  const endpoints = (await ask(child, {
    rival,
    listen,
    numMessages: run.numMessages,
  } satisfies Order)) as Endpoints;
  const finished = next(child);
  if (rival === 'bare') await sendBare(endpoints.data, run, finished);
  else await sendOurs(endpoints, listen, run, rival, finished);
  const ms = (await finished) as number;
  if (!(ms > 0)) throw new Error(`the receiver reported ${JSON.stringify(ms)}`);
  return ((run.numMessages - 1) / ms) * 1000;
}

async function sendBare(endpoint: string, run: Run, finished: Promise<unknown>): Promise<void> {
  const socket = new Push({ linger: 0 });
  socket.connect(endpoint);
  const header = Buffer.alloc(140);
  const frame = Buffer.alloc(run.frameBytes, 1);
  for (let index = 0; index < run.numMessages; index++) await socket.send([header, frame]);
  await finished;
  socket.close();
}

async function sendOurs(
  endpoints: Endpoints,
  listen: Listen,
  run: Run,
  rival: WireRival,
  finished: Promise<unknown>,
): Promise<void> {
  const transport = await openZmqTransport({
    node: nodeId('sender'),
    incarnation: 1,
    clock,
    logger: silentLogger,
    listen,
    peers: () => endpoints,
  });
  transport.onPacket(() => {});
  const tensor = new Float32Array(run.frameBytes / 4).fill(1);
  const opaque: Packet = { header: Buffer.alloc(140), frames: [new Uint8Array(tensor.buffer)] };
  const packet = (step: number): Packet =>
    rival === 'coded' ? codec.encodeMessage(message(step, tensor), 1) : opaque;
  const aheadMax = run.frameBytes > 100_000 ? 16 : 4096;
  let index = 0;
  let ahead = 0;
  const pump = (): void => {
    for (; index < run.numMessages && ahead < aheadMax; index++) {
      ahead++;
      transport.send(nodeId('receiver'), 'data', packet(index), () => {
        ahead--;
        if (ahead <= aheadMax / 2) pump();
      });
    }
  };
  pump();
  await finished;
  await transport.close(1000);
}

const message = (step: number, tensor: Float32Array) => ({
  kind,
  from: address('gate/L3/pp0/dp1'),
  to: address('expert/L3/ep0/edp1'),
  step,
  attempt: 0,
  version: step,
  layer: 3,
  microbatch: 1,
  body: {},
  tensors: [tensor],
});

function next(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void =>
      reject(new Error(`the receiving process ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (answer) => {
      child.off('exit', ended);
      resolve(answer);
    });
  });
}

function ask(child: ChildProcess, order: Order): Promise<unknown> {
  const answer = next(child);
  child.send(order);
  return answer;
}

/** The receiving process: serves one order after the other. */
function servePeer(): void {
  process.on('disconnect', () => process.exit(0));
  process.on(
    'message',
    (order: Order) => void (order.rival === 'bare' ? receiveBare(order) : receiveOurs(order)),
  );
}

async function receiveBare({ listen, numMessages }: Order): Promise<void> {
  const socket = new Pull({ linger: 0 });
  await socket.bind(listen.kind === 'ipc' ? `ipc://${join(listen.directory, 'bare')}` : 'tcp://127.0.0.1:*');
  process.send!({ control: '', data: socket.lastEndpoint });
  let bytes = (await socket.receive())[1]!.byteLength;
  const start = performance.now();
  for (let index = 1; index < numMessages; index++) bytes += (await socket.receive())[1]!.byteLength;
  process.send!(bytes % numMessages === 0 ? performance.now() - start : -1);
  socket.close();
}

async function receiveOurs({ rival, listen, numMessages }: Order): Promise<void> {
  const transport = await openZmqTransport({
    node: nodeId('receiver'),
    incarnation: 1,
    clock,
    logger: silentLogger,
    listen,
  });
  let numTaken = 0;
  let bytes = 0;
  let start = 0;
  transport.onPacket((_, __, packet, release) => {
    if (numTaken++ === 0) start = performance.now();
    bytes +=
      rival === 'coded'
        ? codec.decodeMessage(packet).message.tensors[0]!.byteLength
        : packet.frames[0]!.byteLength;
    release();
    if (numTaken === numMessages) process.send!(bytes % numMessages === 0 ? performance.now() - start : -1);
  });
  transport.onPeer(({ type }) => {
    if (type !== 'peer.up') void transport.close(0);
  });
  process.send!(transport.endpoints);
}

if (process.argv[2] === peerFlag) servePeer();

/** A table of {@link benchWire}: our data path beside a bare pair of sockets. */
export function formatWire({ rows }: WireBenchResult): string {
  return [
    'Two processes; a bare zeromq.js pair, our transport, and our transport with codec and checksum; medians of interleaved rounds.',
    '',
    '| link | frame | bare MiB/s | transport MiB/s | with codec MiB/s | transport / bare | messages/s, transport |',
    '|---|---|---|---|---|---|---|',
    ...rows.map(({ link, frameBytes, mibPerSecond, messagesPerSecond, ratio }) => {
      const frame = frameBytes >= 2 ** 20 ? `${frameBytes / 2 ** 20} MiB` : `${frameBytes / 1024} KiB`;
      const speeds = rivals.map((rival) => mibPerSecond[rival].toFixed(0)).join(' | ');
      return `| ${link} | ${frame} | ${speeds} | ${ratio.toFixed(2)} | ${messagesPerSecond.transport.toFixed(0)} |`;
    }),
  ].join('\n');
}
