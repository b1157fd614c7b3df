import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { nodeId } from '@troupe/core';
import { capability, Context, curveKeyPair, Pull, Push } from 'zeromq';
import { curveServer, guardDoor } from '../curve.ts';
import { encodeService } from '../framing.ts';
import { encodeHello } from '../hello.ts';
import type { CurveKeys, Endpoints, ZmqTransport, ZmqTransportOptions } from '../index.ts';
import { Keyring, proofBytes } from '../keyring.ts';
import type { PeerOrder, PeerReady } from './peer-process.ts';
import { openNode } from './open-node.ts';
import { Probe } from './probe.ts';

const withCurve = capability.curve === true ? test : test.skip;

type Pair = Pick<CurveKeys, 'public' | 'secret'>;
const pair = (): Pair => {
  const { publicKey, secretKey } = curveKeyPair();
  return { public: publicKey, secret: secretKey };
};

/** A pair for each node, and what each of them is given. */
function keysOf<Name extends string>(...names: readonly Name[]): Readonly<Record<Name, CurveKeys>> {
  const pairs = names.map((name) => [name, pair()] as const);
  const nodes = new Map(pairs.map(([name, keys]) => [name, keys.public]));
  return Object.fromEntries(pairs.map(([name, keys]) => [name, { ...keys, nodes }])) as never;
}

type Node = Probe & { readonly endpoints: Endpoints };

async function open(
  t: ExecutionContext,
  node: string,
  curve: CurveKeys | undefined,
  options: Partial<ZmqTransportOptions> = {},
): Promise<Node> {
  const transport = await openNode(t, node, {
    refusedMs: 100,
    ...(curve === undefined ? {} : { curve }),
    ...options,
  });
  return Object.assign(new Probe(transport), { endpoints: transport.endpoints });
}

/** So many packets there, each with an answer that comes back. */
async function trips(
  from: Probe,
  to: Probe,
  [name, back]: readonly [string, string],
  count = 20,
): Promise<void> {
  const [there, here] = [to.arrivals.length, from.arrivals.length];
  for (let trip = 1; trip <= count; trip++) {
    from.send(name, 'data', `there ${trip}`);
    await to.until(() => to.arrivals.length === there + trip);
    to.send(back, 'control', `back ${trip}`);
    await from.until(() => from.arrivals.length === here + trip);
  }
}

/** What is not refused by then is not refused, milliseconds. */
const refusalMs = 20_000;

/** Goes on with a link until `a` has refused as many messages as are expected. */
async function untilRefused(t: ExecutionContext, a: Node, b: Node, count: number): Promise<void> {
  const begin = performance.now();
  const numRefused = (): number => a.transport.stats().packetsRefused;
  while (numRefused() < count && performance.now() - begin < refusalMs) await trips(b, a, ['a', 'b'], 1);
  t.true(numRefused() >= count, `${numRefused()} messages refused, ${count} expected`);
}

const rawCurve = (own: Pair, server: string) => ({
  curveServerKey: server,
  curvePublicKey: own.public,
  curveSecretKey: own.secret,
});

withCurve('trust: a machine with a key of the run is not heard under the name of another one', async (t) => {
  const keys = keysOf('a', 'b', 'c');
  const a = await open(t, 'a', keys.a);
  const b = await open(t, 'b', keys.b, { peers: () => a.endpoints });
  await trips(b, a, ['a', 'b']);
  // With its own key, as who has the other one's place in its own list of keys.
  const impostor = await open(t, 'b', keys.c, { incarnation: 2, peers: () => a.endpoints });
  impostor.send('a', 'data', 'I am b');
  await untilRefused(t, a, b, 2);
  t.deepEqual(a.eventLines(), ['peer.up b 1']);
  t.deepEqual(impostor.events, []);
  t.false(a.texts().includes('I am b'));
});

withCurve('trust: a hello that names the key of another machine proves nothing', async (t) => {
  const keys = keysOf('a', 'b', 'c');
  const a = await open(t, 'a', keys.a);
  const b = await open(t, 'b', keys.b, { peers: () => a.endpoints });
  await trips(b, a, ['a', 'b']);
  const raw = new Push({ linger: 0, ...rawCurve(keys.c, keys.a.public) });
  t.teardown(() => raw.close());
  raw.connect(a.endpoints.control);
  const about = {
    node: nodeId('b'),
    incarnation: 9,
    to: nodeId('a'),
    run: '',
    endpoints: b.endpoints,
    creditBytes: { control: 1, data: 1 },
  };
  const hello = (key: string): Uint8Array =>
    encodeService({ type: 'hello', lane: 'control', token: 7 }, encodeHello({ ...about, key }));
  const own = new Keyring(keys.c);
  const forged = [
    hello(keys.b.public),
    Buffer.concat([hello(keys.b.public), Buffer.alloc(proofBytes)]),
    Buffer.concat([hello(keys.b.public), own.proof(hello(keys.b.public), keys.a.public)]),
    Buffer.concat([hello(keys.c.public), own.proof(hello(keys.c.public), keys.a.public)]),
    Buffer.concat([hello(keys.a.public), own.proof(hello(keys.a.public), keys.a.public)]),
  ];
  for (const message of forged) await raw.send(message);
  await untilRefused(t, a, b, forged.length);
  t.deepEqual(a.eventLines(), ['peer.up b 1']);
});

withCurve('trust: a node is called under its own key, and not at all without one', async (t) => {
  const keys = keysOf('a', 'b', 'c');
  const c = await open(t, 'c', keys.c);
  let refused: (message: string) => void = () => {};
  const sentence = new Promise<string>((resolve) => (refused = resolve));
  const onRefused = ({ message }: Error): void => refused(message);
  const b = await open(t, 'b', keys.b, { peers: () => c.endpoints, onRefused, run: 'r-7' });
  const known = { code: 'TROUPE_TRANSPORT_INSECURE', message: /no key of it is known/ };
  t.throws(() => b.send('nobody', 'data', 'x'), known);
  b.send('a', 'data', 'are you there');
  t.regex(await sentence, /node 'a' .* another key than the one expected.* of run r-7/);
  t.deepEqual(c.events, []);
});

withCurve('trust: who is let in under no name of the run keeps the name that it took', async (t) => {
  const [service, first, second] = [pair(), pair(), pair()];
  const a = await open(t, 'a', { ...service, authorized: [first.public, second.public] });
  const asker = (own: Pair, node: string, more: Partial<ZmqTransportOptions> = {}): Promise<Node> =>
    open(t, node, { ...own, serverPublic: service.public }, { peers: () => a.endpoints, ...more });
  const b = await asker(first, 'b');
  const c = await asker(second, 'c');
  await trips(b, a, ['a', 'b']);
  await trips(c, a, ['a', 'c']);
  const thief = await asker(second, 'b', { incarnation: 2 });
  thief.send('a', 'data', 'I am b');
  await untilRefused(t, a, b, 2);
  t.deepEqual(a.eventLines(), ['peer.up b 1', 'peer.up c 1']);
});

test('trust: nobody of another run is heard, whatever its keys', async (t) => {
  const a = await open(t, 'a', undefined, { run: 'r-1' });
  const b = await open(t, 'b', undefined, { run: 'r-1', peers: () => a.endpoints });
  const c = await open(t, 'c', undefined, { run: 'r-2', peers: () => a.endpoints });
  c.send('a', 'data', 'hello');
  await untilRefused(t, a, b, 2);
  t.deepEqual(a.eventLines(), ['peer.up b 1']);
});

withCurve('trust: when nobody answers who may connect, nobody may', async (t) => {
  const [server, client] = [pair(), pair()];
  const keys = { ...server, authorized: [client.public] };
  const context = new Context({ blocky: false });
  const door = await guardDoor(context, new Keyring(keys));
  const pull = new Pull({ context, linger: 0, ...curveServer(keys) });
  t.teardown(() => pull.close());
  await pull.bind('tcp://127.0.0.1:*');
  /** What the library says of a connection. */
  const knock = async (): Promise<string> => {
    const push = new Push({ linger: 0, ...rawCurve(client, server.public) });
    // Held until the end: a socket that nobody holds is collected, and tells no more.
    t.teardown(() => push.close());
    const heard = new Promise<string>((resolve) => {
      push.events.on('handshake', () => resolve('let in'));
      push.events.on('disconnect', () => resolve('shut out'));
    });
    push.connect(pull.lastEndpoint!);
    return heard;
  };
  t.is(await knock(), 'let in');
  door.close();
  t.is(await knock(), 'shut out');
});

withCurve('trust: hellos that are too long, from a machine with a key, disturb nobody', async (t) => {
  const keys = keysOf('a', 'b', 'c');
  const a = await open(t, 'a', keys.a);
  const b = await open(t, 'b', keys.b, { peers: () => a.endpoints });
  await trips(b, a, ['a', 'b']);
  const raw = new Push({ linger: 0, ...rawCurve(keys.c, keys.a.public) });
  t.teardown(() => raw.close());
  raw.connect(a.endpoints.data);
  const long = encodeService({ type: 'hello', lane: 'data', token: 7 }, Buffer.alloc(2 * 2 ** 20, '{'));
  for (let index = 0; index < 10; index++) await raw.send(long);
  await untilRefused(t, a, b, 10);
  t.deepEqual(a.eventLines(), ['peer.up b 1']);
});

withCurve('trust: what was recorded and is sent again is not heard', async (t) => {
  const keys = keysOf('a', 'b');
  const a = await open(t, 'a', keys.a);
  const tapes: Buffer[][] = [];
  const portOf = (endpoint: string): number => Number(endpoint.split(':').at(-1));
  /** Hands on what it gets, and keeps it. */
  const tapped = async (endpoint: string): Promise<string> => {
    const server = createServer((socket) => {
      const onward = connect(portOf(endpoint), '127.0.0.1');
      const tape: Buffer[] = [];
      tapes.push(tape);
      socket.on('data', (bytes) => tape.push(bytes));
      for (const each of [socket, onward]) each.on('error', () => socket.destroy());
      socket.pipe(onward).pipe(socket);
    });
    t.teardown(() => server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const place = { control: await tapped(a.endpoints.control), data: await tapped(a.endpoints.data) };
  const b = await open(t, 'b', keys.b, { peers: () => place });
  // `a` says itself where it is, so that only what comes before its word goes by the tap.
  await trips(b, a, ['a', 'b']);
  t.true(tapes.length >= 2 && tapes.every((tape) => tape.length > 0));
  const [events, arrivals] = [a.events.length, a.arrivals.length];
  for (const [index, tape] of tapes.entries()) {
    const socket = connect(portOf(index === 0 ? a.endpoints.control : a.endpoints.data), '127.0.0.1');
    socket.on('error', () => {});
    const closed = once(socket, 'close');
    socket.resume();
    socket.write(Buffer.concat(tape));
    await trips(b, a, ['a', 'b']);
    await closed;
  }
  t.is(a.events.length, events);
  t.is(a.arrivals.length, arrivals + 20 * tapes.length);
  t.is(a.transport.stats().packetsRefused, 0);
});

(process.platform === 'linux' ? withCurve : test.skip)(
  'trust: connections without end of their handshake take every descriptor, and a link goes on',
  async (t) => {
    const keys = keysOf('a', 'b');
    const a = await open(t, 'a', keys.a);
    const order: PeerOrder = {
      node: 'b',
      incarnation: 1,
      listen: { kind: 'tcp', host: '127.0.0.1' },
      curve: { public: keys.b.public, secret: keys.b.secret },
      nodes: [...(keys.b.nodes ?? [])],
    };
    const script = new URL('peer-process.js', import.meta.url).pathname;
    const child = spawn(
      'sh',
      ['-c', 'ulimit -n 128; exec "$@"', 'sh', process.execPath, script, JSON.stringify(order)],
      {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      },
    );
    t.teardown(() => child.kill('SIGKILL'));
    const [{ endpoints }] = (await once(child, 'message')) as [PeerReady];
    (a.transport as ZmqTransport).setPeers(() => endpoints);
    const echo = async (count: number): Promise<void> => {
      const before = a.arrivals.length;
      for (let trip = 1; trip <= count; trip++) {
        a.send('b', 'data', 'echo');
        await a.until(() => a.arrivals.length === before + trip);
      }
    };
    await echo(5);
    const idle: Socket[] = [];
    t.teardown(() => idle.forEach((socket) => socket.destroy()));
    for (let index = 0; index < 200; index++) {
      const endpoint = index % 2 === 0 ? endpoints.control : endpoints.data;
      const socket = connect(Number(endpoint.split(':').at(-1)), '127.0.0.1');
      socket.on('error', () => {});
      idle.push(socket);
      if (index % 10 === 0) await echo(1);
    }
    await echo(50);
    t.deepEqual(a.eventLines(), ['peer.up b 1']);
  },
);
