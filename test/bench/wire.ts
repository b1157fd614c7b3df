import { fork, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { address, nodeId, silentLogger, type Clock, type Packet } from '@troupe/core';
import { nativeCrc32, releaseArrays } from '@troupe/kernels';
import { openZmqTransport, type Endpoints, type Listen } from '@troupe/transport';
import { createCodec } from '@troupe/wire';
import { Pull, Push } from 'zeromq';
import { interleave } from './interleave.ts';
import { median } from './median.ts';
import { pairedRatio, type PairedRatio } from './paired-ratio.ts';

/** `bare`: a PUSH/PULL pair of zeromq.js. `transport`: ours, opaque bytes. `coded`: ours with the codec and its checksum on both sides. */
export type WireRival = 'bare' | 'transport' | 'coded';

export const wireLinks = ['ipc', 'tcp'] as const;
export type WireLink = (typeof wireLinks)[number];
/** Bytes of the one tensor frame of each message. */
const wireFrames = [1024, 64 * 1024, 1024 * 1024, 16 * 1024 * 1024];

export interface WireRow {
  readonly link: WireLink;
  /** Bytes of the one tensor frame of each message. */
  readonly frameBytes: number;
  readonly numMessages: number;
  readonly rounds: number;
  /** Medians over the rounds. */
  readonly mibPerSecond: Readonly<Record<WireRival, number>>;
  readonly messagesPerSecond: Readonly<Record<WireRival, number>>;
  /** Processor time of both processes, all their threads, microseconds a message. */
  readonly processorUs: Readonly<Record<WireRival, number>>;
  /** Speed over that of the bare pair of the same round. */
  readonly ratio: Readonly<Record<'transport' | 'coded', PairedRatio>>;
}

export interface WireBenchResult {
  readonly machine: { readonly cpu: string; readonly numCores: number; readonly node: string };
  readonly rows: readonly WireRow[];
}

export interface WireBenchOptions {
  /** `small` runs in a few seconds and proves only that it runs; `full` is for numbers. */
  readonly size: 'small' | 'full';
  /** Turns of every rival; default 9. */
  readonly rounds?: number;
  /** Default both. */
  readonly links?: readonly WireLink[];
  /** Bytes of a frame; default {@link wireFrames}. */
  readonly frames?: readonly number[];
}

interface Order {
  readonly rival: WireRival;
  readonly listen: Listen;
  readonly numMessages: number;
}

/** What the receiver says at the end: from its first message to its last, and what its process spent. */
interface Report {
  readonly ms: number;
  readonly processorUs: number;
}

interface Run {
  readonly link: WireLink;
  readonly frameBytes: number;
  readonly numMessages: number;
}

const rivals: readonly WireRival[] = ['bare', 'transport', 'coded'];
/** Bytes that the sender hands over before the first is taken. */
const aheadBytes = 128 * 2 ** 20;
const peerFlag = 'wire-bench-peer';
const kind = 'rows.sent';
const crc32 = nativeCrc32();
const codec = createCodec({ kinds: new Set([kind]), ...(crc32 === null ? {} : { crc32 }) });

const clock: Clock = {
  now: () => performance.now(),
  after: (delayMs, callback) => setTimeout(callback, delayMs)[Symbol.toPrimitive](),
  cancel: (handle) => clearTimeout(handle),
};

/**
 * Measures the data path between two processes against a bare zeromq.js pair, all rivals in turn in every round.
 *
 * The receiver counts and measures from the first message to the last; it checks the length of each frame before it counts it.
 */
export async function benchWire(options: WireBenchOptions): Promise<WireBenchResult> {
  const full = options.size === 'full';
  const rounds = options.rounds ?? (full ? 9 : 1);
  const frames = options.frames ?? wireFrames;
  const counts = frames.map((frameBytes): readonly [number, number] => {
    const numMessages = Math.round((full ? 1.5e9 : 5e7) / (frameBytes + 7000));
    return [frameBytes, numMessages];
  });
  const directory = await mkdtemp(join(tmpdir(), 'tw-'));
  const child = fork(fileURLToPath(import.meta.url), [peerFlag]);
  const rows: WireRow[] = [];
  try {
    for (const link of options.links ?? wireLinks) {
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

/** What one run of one rival gave. */
interface Sample {
  readonly messagesPerSecond: number;
  readonly processorUs: number;
}

async function measure(child: ChildProcess, directory: string, run: Run, rounds: number): Promise<WireRow> {
  const turns = await interleave(rivals, rounds, (rival) => once(child, directory, run, rival));
  const of = (rival: WireRival): readonly Sample[] => turns.find((turn) => turn.rival === rival)!.results;
  const each = (number: (samples: readonly Sample[]) => number): Record<WireRival, number> => ({
    bare: number(of('bare')),
    transport: number(of('transport')),
    coded: number(of('coded')),
  });
  const speed = each((samples) => median(samples.map((sample) => sample.messagesPerSecond)));
  const mib = (rate: number): number => (rate * run.frameBytes) / 2 ** 20;
  const overBare = (rival: WireRival): PairedRatio =>
    pairedRatio(
      of(rival).map((sample, round) => sample.messagesPerSecond / of('bare')[round]!.messagesPerSecond),
    );
  return {
    ...run,
    rounds,
    messagesPerSecond: speed,
    mibPerSecond: { bare: mib(speed.bare), transport: mib(speed.transport), coded: mib(speed.coded) },
    processorUs: each((samples) => median(samples.map((sample) => sample.processorUs))),
    ratio: { transport: overBare('transport'), coded: overBare('coded') },
  };
}

async function once(child: ChildProcess, directory: string, run: Run, rival: WireRival): Promise<Sample> {
  const listen: Listen = run.link === 'ipc' ? { kind: 'ipc', directory } : { kind: 'tcp', host: '127.0.0.1' };
  const endpoints = (await ask(child, {
    rival,
    listen,
    numMessages: run.numMessages,
  } satisfies Order)) as Endpoints;
  const before = process.cpuUsage();
  const finished = next(child) as Promise<Report>;
  if (rival === 'bare') await sendBare(endpoints.data, run, finished);
  else await sendOurs(endpoints, listen, run, rival, finished);
  const spent = process.cpuUsage(before);
  const { ms, processorUs } = await finished;
  if (!(ms > 0)) throw new Error(`the receiver reported ${JSON.stringify(ms)}`);
  return {
    messagesPerSecond: ((run.numMessages - 1) / ms) * 1000,
    processorUs: (processorUs + spent.user + spent.system) / run.numMessages,
  };
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
  // More than the receiver's window admits, so that the transport decides what is on the way.
  const aheadMax = Math.min(4096, Math.ceil(aheadBytes / run.frameBytes));
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

/** Counts what arrives, from the first message on; reports when the last one is here. */
class Receiver {
  readonly #numMessages: number;
  readonly #usage = process.cpuUsage();
  #numTaken = 0;
  #bytes = 0;
  #start = 0;

  constructor({ numMessages }: Order) {
    this.#numMessages = numMessages;
  }

  take(bytes: number): void {
    if (this.#numTaken++ === 0) this.#start = performance.now();
    this.#bytes += bytes;
    if (this.#numTaken < this.#numMessages) return;
    const { user, system } = process.cpuUsage(this.#usage);
    const isWhole = this.#bytes % this.#numMessages === 0;
    const ms = isWhole ? performance.now() - this.#start : -1;
    process.send!({ ms, processorUs: user + system } satisfies Report);
  }
}

async function receiveBare(order: Order): Promise<void> {
  const { listen, numMessages } = order;
  const socket = new Pull({ linger: 0 });
  await socket.bind(listen.kind === 'ipc' ? `ipc://${join(listen.directory, 'bare')}` : 'tcp://127.0.0.1:*');
  process.send!({ control: '', data: socket.lastEndpoint });
  const receiver = new Receiver(order);
  for (let index = 0; index < numMessages; index++) receiver.take((await socket.receive())[1]!.byteLength);
  socket.close();
}

async function receiveOurs(order: Order): Promise<void> {
  const transport = await openZmqTransport({
    node: nodeId('receiver'),
    incarnation: 1,
    clock,
    logger: silentLogger,
    listen: order.listen,
  });
  const receiver = new Receiver(order);
  transport.onPacket((_, __, packet, release) => {
    const frame =
      order.rival === 'coded'
        ? codec.decodeMessage(packet).message.tensors[0]!
        : new Uint8Array(
            packet.frames[0]!.buffer,
            packet.frames[0]!.byteOffset,
            packet.frames[0]!.byteLength,
          );
    const { byteLength } = frame;
    release();
    // As an actor does with rows that it has read: their memory is not left to the collector.
    queueMicrotask(() => releaseArrays([frame]));
    receiver.take(byteLength);
  });
  transport.onPeer(({ type }) => {
    if (type !== 'peer.up') void transport.close(0);
  });
  process.send!(transport.endpoints);
}

if (process.argv[2] === peerFlag) servePeer();

/** A table of {@link benchWire}: our data path beside a bare pair of sockets. */
export function formatWire({ rows }: WireBenchResult): string {
  const ratio = ({ median: middle, low, high }: PairedRatio): string =>
    `${middle.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
  return [
    'Two processes; a bare zeromq.js pair, our transport, and our transport with codec and checksum, in turn; medians, and of the ratios',
    'of the same round the interval that holds the median with 95 %. Processor time is that of both processes with all their threads.',
    'Our receiver frees a frame when it has read it, as actors do; a bare pair leaves that to V8, as zeromq.js does.',
    '',
    '| link | frame | bare MiB/s | transport MiB/s | with codec MiB/s | transport / bare | with codec / bare | processor us a message |',
    '|---|---|---|---|---|---|---|---|',
    ...rows.map(({ link, frameBytes, mibPerSecond, processorUs, ratio: { transport, coded } }) => {
      const frame = frameBytes >= 2 ** 20 ? `${frameBytes / 2 ** 20} MiB` : `${frameBytes / 1024} KiB`;
      const speeds = rivals.map((rival) => mibPerSecond[rival].toFixed(0)).join(' | ');
      const spent = rivals.map((rival) => processorUs[rival].toFixed(0)).join(', ');
      return `| ${link} | ${frame} | ${speeds} | ${ratio(transport)} | ${ratio(coded)} | ${spent} |`;
    }),
  ].join('\n');
}
