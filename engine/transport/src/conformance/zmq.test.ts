import test, { type ExecutionContext } from 'ava';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeId, silentLogger } from '@troupe/core';
import { capability, curveKeyPair, Push } from 'zeromq';
import { openZmqTransport, type CurveKeys, type ZmqTransport, type ZmqTransportOptions } from '../index.ts';
import { zmqNetwork } from './network.ts';
import { Probe, realClock } from './probe.ts';
import { transportConformance } from './suite.ts';

transportConformance(test, 'zmq over ipc', zmqNetwork('ipc'));
transportConformance(test, 'zmq over tcp', zmqNetwork('tcp'));

const sharedKeys = (): CurveKeys => {
  const pair = curveKeyPair();
  return { serverPublic: pair.publicKey, public: pair.publicKey, secret: pair.secretKey };
};
if (capability.curve === true) {
  const pairs = ['a', 'b'].map((node) => {
    const { publicKey, secretKey } = curveKeyPair();
    return [node, { public: publicKey, secret: secretKey }] as const;
  });
  transportConformance(test, 'zmq over tcp with curve', zmqNetwork('tcp', {}, new Map(pairs)));
}

const open = (options: Partial<ZmqTransportOptions>): Promise<ZmqTransport> =>
  openZmqTransport({
    node: nodeId('a'),
    incarnation: 1,
    clock: realClock,
    logger: silentLogger,
    listen: { kind: 'tcp', host: '127.0.0.1' },
    ...options,
  });

const directoryOf = async (t: ExecutionContext): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), 'tr-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
};

test('zmq: ipc sockets are there while it is open, for this user only, and gone after a close', async (t) => {
  const transport = await open({ listen: { kind: 'ipc', directory: await directoryOf(t) } });
  const paths = Object.values(transport.endpoints).map((endpoint) => endpoint.slice('ipc://'.length));
  t.true(paths.every((path) => existsSync(path)));
  await transport.close(0);
  t.false(paths.some((path) => existsSync(path)));
});

test('zmq: a port in use is a retryable error', async (t) => {
  const first = await open({});
  t.teardown(() => first.close(0));
  const port = Number(first.endpoints.control.split(':').at(-1));
  const error = await t.throwsAsync(
    open({
      node: nodeId('b'),
      listen: { kind: 'tcp', host: '127.0.0.1', ports: { control: port, data: 0 } },
    }),
    { code: 'TROUPE_TRANSPORT_ADDRESS_IN_USE' },
  );
  t.true((error as Error & { retryable: boolean }).retryable);
});

test('zmq: an ipc name in use is refused, a stale one is taken over', async (t) => {
  const listen = { kind: 'ipc', directory: await directoryOf(t), name: 'a' } as const;
  writeFileSync(join(listen.directory, 'a.control'), '');
  const first = await open({ listen });
  await t.throwsAsync(open({ listen }), { code: 'TROUPE_TRANSPORT_ADDRESS_IN_USE' });
  await first.close(0);
  await (await open({ listen })).close(0);
});

test('zmq: an ipc path above 100 bytes is refused before anything is made', async (t) => {
  const directory = join(await directoryOf(t), 'x'.repeat(90));
  await t.throwsAsync(open({ listen: { kind: 'ipc', directory } }), { code: 'TROUPE_TRANSPORT_ENDPOINT' });
  t.false(existsSync(directory));
});

test('zmq: tcp beyond loopback without curve is refused, to bind and to connect', async (t) => {
  for (const host of ['0.0.0.0', '*', '192.0.2.1', '127.0.0.1.example.org']) {
    await t.throwsAsync(open({ listen: { kind: 'tcp', host } }), { code: 'TROUPE_TRANSPORT_INSECURE' }, host);
  }
  const far = { control: 'tcp://192.0.2.1:5000', data: 'tcp://192.0.2.1:5001' };
  const transport = await open({ peers: () => far });
  t.teardown(() => transport.close(0));
  t.throws(() => transport.send(nodeId('b'), 'data', { header: Uint8Array.of(1), frames: [] }), {
    code: 'TROUPE_TRANSPORT_INSECURE',
  });
  t.is(transport.queuedBytes(nodeId('b')), 0);
});

test('zmq: malformed curve keys are refused', async (t) => {
  const curve = { serverPublic: 'short', public: 'short', secret: 'short' };
  await t.throwsAsync(open({ curve }), { code: 'TROUPE_TRANSPORT_INSECURE' });
});

(capability.curve === true ? test : test.skip)(
  'zmq: with curve, nobody without the keys is heard',
  async (t) => {
    const curve = sharedKeys();
    const strangerKeys = curveKeyPair();
    const a = new Probe(await open({ curve }));
    const { endpoints } = a.transport as ZmqTransport;
    // Knows the server's public key, but its own is not on the list.
    const keys = {
      curveServerKey: curve.public,
      curvePublicKey: strangerKeys.publicKey,
      curveSecretKey: strangerKeys.secretKey,
    };
    const intruder = new Push({ linger: 0, ...keys });
    t.teardown(() => intruder.close());
    const shownTheDoor = new Promise<void>((resolve) =>
      intruder.events.on('handshake:error:auth', () => resolve()),
    );
    intruder.connect(endpoints.data);
    await intruder.send('let me in');
    await shownTheDoor;
    const plain = await open({ node: nodeId('plain'), peers: () => endpoints });
    const friend = new Probe(await open({ node: nodeId('friend'), curve, peers: () => endpoints }));
    t.teardown(() =>
      Promise.all([a.transport, plain, friend.transport].map((transport) => transport.close(0))),
    );
    plain.send(nodeId('a'), 'data', { header: Uint8Array.of(1), frames: [] });
    for (let trip = 1; trip <= 50; trip++) {
      friend.send('a', 'data', 'hello');
      await a.until(() => a.arrivals.length === trip);
    }
    t.deepEqual(a.eventLines(), ['peer.up friend 1']);
    t.true(a.arrivals.every(({ from }) => from === nodeId('friend')));
    t.is(a.transport.stats().packetsRefused, 0);
  },
);

test('zmq: garbage is counted and hurts nobody else', async (t) => {
  const network = await zmqNetwork('tcp')();
  t.teardown(() => network.end());
  const a = new Probe(await network.connect('a'));
  const b = new Probe(await network.connect('b'));
  const { endpoints } = b.transport as ZmqTransport;
  const prologue = (type: number, lane: number): Buffer => {
    const bytes = Buffer.alloc(24);
    bytes.set([0x54, 2, type, lane]);
    return bytes;
  };
  const hello = (value: unknown): Buffer =>
    Buffer.concat([prologue(1, 0), Buffer.from(JSON.stringify(value))]);
  const good = {
    node: 'c',
    incarnation: 1,
    to: 'b',
    run: '',
    endpoints,
    creditBytes: { control: 1, data: 1 },
  };
  const garbage: Buffer[][] = [
    [Buffer.alloc(0)],
    [Buffer.from('GET / HTTP/1.1')],
    [prologue(9, 0)],
    [prologue(3, 1)],
    [prologue(3, 0)],
    [prologue(4, 0), Buffer.alloc(10)],
    [Buffer.concat([prologue(1, 0), Buffer.from('{')])],
    [Buffer.concat([prologue(1, 0), Buffer.alloc(5000, 'x')])],
    [hello(null)],
    [hello({ ...good, to: 'somebody else' })],
    [hello({ ...good, incarnation: -1 })],
    [hello({ ...good, endpoints: { control: 'tcp://192.0.2.1:1', data: 'tcp://192.0.2.1:2' } })],
    [hello({ ...good, creditBytes: {} })],
    [hello(good), Buffer.alloc(1)],
    [Buffer.from([0x54, 3, 1, 0, ...Buffer.alloc(20)])],
  ];
  const stranger = new Push({ linger: 0 });
  t.teardown(() => stranger.close());
  stranger.connect(endpoints.control);
  for (const parts of garbage) await stranger.send(parts);
  for (let trip = 1; b.transport.stats().packetsRefused < garbage.length; trip++) {
    a.send('b', 'data', 'still fine');
    await b.until(() => b.arrivals.length === trip);
  }
  t.is(b.transport.stats().packetsRefused, garbage.length);
  t.deepEqual(b.eventLines(), ['peer.up a 1']);
});

test('zmq: a peer that breaks the protocol in its session is refused and lost', async (t) => {
  const b = new Probe(await open({ node: nodeId('b') }));
  t.teardown(() => b.transport.close(0));
  const { endpoints } = b.transport as ZmqTransport;
  const message = (type: number, lane: number, first: number, payload: string | Buffer): Buffer => {
    const bytes = Buffer.alloc(24);
    bytes.set([0x54, 2, type, lane]);
    bytes.writeUInt32LE(type === 3 ? 1 : 0, 4);
    bytes.writeDoubleLE(77, 8);
    bytes.writeDoubleLE(first, 16);
    return Buffer.concat([bytes, Buffer.from(payload)]);
  };
  // The node that calls is a plain socket; b calls it back at its own data port, where its hello is refused.
  const helloJson = JSON.stringify({
    node: 'rogue', incarnation: 3, to: 'b', run: '', endpoints, creditBytes: { control: 1000, data: 1000 },
  }); // prettier-ignore
  const rogue = new Push({ linger: 0 });
  t.teardown(() => rogue.close());
  rogue.connect(endpoints.data);
  await rogue.send([message(1, 1, 0, helloJson)]);
  const packet = Buffer.alloc(16);
  packet.writeUInt32LE(1, 0);
  await rogue.send([message(3, 1, 0, packet)]);
  await b.until(() => b.arrivals.length === 1);
  await rogue.send([message(3, 1, 7, packet)]);
  await b.until(() => b.events.length === 2);
  t.deepEqual(b.eventLines(), ['peer.up rogue 3', 'peer.lost rogue 3']);
  t.is(b.arrivals.length, 1);
  const lost = b.events[1]!;
  t.regex(lost.type === 'peer.lost' ? lost.reason : '', /packet 7 found on lane data, 1 expected/);
});

test('zmq: frames above the limit of the receiver are refused and the link is lost', async (t) => {
  const a = new Probe(await open({ node: nodeId('a') }));
  const b = new Probe(
    await open({
      node: nodeId('b'),
      maxFrameBytes: 1000,
      peers: () => (a.transport as ZmqTransport).endpoints,
    }),
  );
  t.teardown(() => Promise.all([a.transport.close(0), b.transport.close(0)]));
  b.send('a', 'control', 'here I am');
  await a.until(() => a.arrivals.length === 1);
  a.send('b', 'data', 'too large', [new Uint8Array(1001)]);
  await b.until(() => b.events.length >= 2);
  t.deepEqual(b.eventLines().slice(0, 2), ['peer.up a 1', 'peer.lost a 1']);
  t.is(b.arrivals.length, 0);
  t.is(b.transport.stats().packetsRefused, 1);
});

const impatient = { heartbeatMs: 50, lostMs: 400 };

test('zmq: a peer that is frozen is lost by its missing heartbeats', async (t) => {
  const network = await zmqNetwork('tcp', impatient)();
  t.teardown(() => network.end());
  const a = new Probe(await network.connect('a'));
  const b = await network.spawn('b', 1);
  a.send('b', 'control', 'echo');
  await a.until(() => a.arrivals.length === 1);
  b.kill('SIGSTOP');
  await a.until(() => a.events.length === 2);
  t.deepEqual(a.eventLines(), ['peer.up b 1', 'peer.lost b 1']);
});

test('zmq: a peer that is busy for longer than the heartbeats allow is alive', async (t) => {
  const network = await zmqNetwork('tcp', impatient)();
  t.teardown(() => network.end());
  const a = new Probe(await network.connect('a'));
  await network.spawn('b', 1);
  for (const lane of ['control', 'data'] as const) a.send('b', lane, 'busy 1000', [new Uint8Array(2 ** 20)]);
  for (let index = 0; index < 50; index++) a.send('b', 'data', `${index}`, [new Uint8Array(2 ** 20)]);
  await a.until(() => a.arrivals.length === 52);
  t.deepEqual(a.eventLines(), ['peer.up b 1']);
});

test('zmq: a handler that throws ends the transport, and the error goes where it was asked to', async (t) => {
  const fatal = new Promise<unknown>((resolve) => void opened.push(resolve));
  const b = await open({ node: nodeId('b'), onFatal: (error) => opened[0]!(error) });
  b.onPacket(() => {
    throw new Error('a bug');
  });
  const a = new Probe(await open({ node: nodeId('a'), peers: () => b.endpoints }));
  t.teardown(() => Promise.all([a.transport.close(0), b.close(0)]));
  a.send('b', 'data', 'one');
  t.is(((await fatal) as Error).message, 'a bug');
  t.throws(() => b.send(nodeId('a'), 'data', { header: Uint8Array.of(1), frames: [] }), {
    code: 'TROUPE_TRANSPORT_CLOSED',
  });
  await a.until(() => a.eventLines().includes('peer.lost b 1'));
});
const opened: ((error: unknown) => void)[] = [];
