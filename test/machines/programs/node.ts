/**
 * A transport on a machine of a lab. It is told, a line each:
 *
 * - `{ open: { node, host, curve } }`, first;
 * - `{ peers: { node: endpoints } }`;
 * - `{ trips: { to, count, bytes, text } }`: as many packets to and back, one behind the other, each with a frame of `text` repeated;
 * - `{ stream: { to, count, bytes } }`: as many at once; the other end counts what arrives;
 * - `{ pace: { to, everyMs } }`: numbered packets from now on, which the other end checks.
 *
 * It says where it listens, what became of peers, and what was measured.
 */
import { nodeId, silentLogger, type Clock, type Packet, type TimerHandle } from '@troupe/core';
import { openZmqTransport, type CurveKeys, type Endpoints, type ZmqTransport } from '@troupe/transport';
import { onLines, say } from './lines.ts';

interface Orders {
  readonly open?: { readonly node: string; readonly host: string; readonly curve: Keys };
  readonly peers?: Readonly<Record<string, Endpoints>>;
  readonly trips?: Load & { readonly text: string };
  readonly stream?: Load;
  readonly pace?: { readonly to: string; readonly everyMs: number };
}

/** Keys as they come in JSON: those of other nodes are pairs of a name and a public key. */
type Keys = Omit<CurveKeys, 'nodes'> & { readonly nodes?: readonly (readonly [string, string])[] };

interface Load {
  readonly to: string;
  readonly count: number;
  readonly bytes: number;
}

const timers = new Map<TimerHandle, NodeJS.Timeout>();
let lastTimer = 0;
const clock: Clock = {
  now: () => performance.now(),
  after: (delayMs, callback) => {
    timers.set(++lastTimer, setTimeout(callback, delayMs));
    return lastTimer;
  },
  cancel: (handle) => {
    clearTimeout(timers.get(handle));
    timers.delete(handle);
  },
};

let transport: ZmqTransport | null = null;
let returned: () => void = () => {};
/** Of the numbered packets: how many came, and the longest time between two. */
const paced = { count: 0, lastMs: 0, gapMs: 0, wrong: 0 };

function takePaced(number: number): void {
  const nowMs = performance.now();
  if (paced.count > 0) paced.gapMs = Math.max(paced.gapMs, nowMs - paced.lastMs);
  if (number !== paced.count) paced.wrong++;
  paced.count = number + 1;
  paced.lastMs = nowMs;
  if (paced.count % 25 === 0) say({ paced });
}

function received(from: string, packet: Packet): void {
  const [kind = '', number = ''] = Buffer.from(packet.header).toString().split(' ');
  if (kind === 'trip') {
    const frames = packet.frames.map((frame) => Buffer.from(frame));
    transport?.send(nodeId(from), 'data', { header: Buffer.from('back'), frames });
  } else if (kind === 'back') returned();
  else if (kind === 'paced') takePaced(Number(number));
}

async function open({ node, host, curve }: NonNullable<Orders['open']>): Promise<void> {
  const { nodes, ...keys } = curve;
  transport = await openZmqTransport({
    node: nodeId(node),
    incarnation: 1,
    clock,
    logger: silentLogger,
    listen: { kind: 'tcp', host },
    curve: { ...keys, ...(nodes === undefined ? {} : { nodes: new Map(nodes) }) },
  });
  transport.onPeer((event) => say({ peer: event }));
  transport.onPacket((from, _, packet, release) => {
    received(from, packet);
    release();
  });
  say({ endpoints: transport.endpoints });
}

/** Sends one packet; settles when the other end has taken it, with what went wrong or null. */
const sent = (to: string, packet: Packet): Promise<string | null> =>
  new Promise((resolve) => {
    transport?.send(nodeId(to), 'data', packet, (error) => resolve(error === null ? null : error.code));
  });

async function trips({ to, count, bytes, text }: NonNullable<Orders['trips']>): Promise<void> {
  const frame = Buffer.alloc(bytes, text);
  const timesMs: number[] = [];
  for (let trip = 0; trip < count; trip++) {
    const startMs = performance.now();
    const back = new Promise<void>((resolve) => (returned = resolve));
    void sent(to, { header: Buffer.from('trip'), frames: [frame] });
    await back;
    timesMs.push(performance.now() - startMs);
  }
  timesMs.sort((a, b) => a - b);
  say({ trips: { count, medianMs: timesMs[count >> 1], worstMs: timesMs.at(-1) } });
}

async function stream({ to, count, bytes }: Load): Promise<void> {
  const frame = Buffer.alloc(bytes, 7);
  const startMs = performance.now();
  const packets = Array.from({ length: count }, () =>
    sent(to, { header: Buffer.from('stream'), frames: [frame] }),
  );
  const failed = (await Promise.all(packets)).filter((code) => code !== null).length;
  const seconds = (performance.now() - startMs) / 1000;
  say({ stream: { failed, megabytesPerSecond: (count * bytes) / 1e6 / seconds } });
}

function pace({ to, everyMs }: NonNullable<Orders['pace']>): void {
  let number = 0;
  const next = async (): Promise<void> => {
    const code = await sent(to, { header: Buffer.from(`paced ${number++}`), frames: [] });
    if (code === null) return;
    clearInterval(timer);
    say({ unsent: code });
  };
  const timer = setInterval(() => void next(), everyMs);
}

onLines(async (line) => {
  const orders = line as Orders;
  if (orders.open !== undefined) await open(orders.open);
  if (orders.peers !== undefined) {
    const { peers } = orders;
    transport?.setPeers((node) => peers[node]);
    say({ ready: true });
  }
  if (orders.trips !== undefined) await trips(orders.trips);
  if (orders.stream !== undefined) await stream(orders.stream);
  if (orders.pace !== undefined) pace(orders.pace);
});
