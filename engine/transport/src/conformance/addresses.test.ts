import { createServer, type AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import test, { type ExecutionContext } from 'ava';
import { nodeId } from '@troupe/core';
import { capability, curveKeyPair } from 'zeromq';
import { isLoopback } from '../addresses.ts';
import type { CurveKeys, Endpoints, Place, ZmqTransport, ZmqTransportOptions } from '../index.ts';
import { openNode } from './open-node.ts';
import { Probe } from './probe.ts';

/** A node with its probe, closed when the test ends. */
async function open(
  t: ExecutionContext,
  node: string,
  options: Partial<ZmqTransportOptions> = {},
): Promise<Probe & { readonly endpoints: Endpoints }> {
  const transport = await openNode(t, node, { ...options });
  return Object.assign(new Probe(transport), { endpoints: transport.endpoints });
}

/** Ports on which nobody listens any more. */
async function vacantPlace(t: ExecutionContext): Promise<Place> {
  const { transport, endpoints } = await open(t, 'gone');
  await transport.close(0);
  return endpoints;
}

/** Takes connections and never says a word. */
async function silentPlace(t: ExecutionContext): Promise<Place> {
  const server = createServer((socket) => t.teardown(() => socket.destroy()));
  t.teardown(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { control: endpoint, data: endpoint };
}

const ofOneRun = (): CurveKeys => {
  const { publicKey, secretKey } = curveKeyPair();
  return { serverPublic: publicKey, public: publicKey, secret: secretKey };
};

const withCurve = capability.curve === true ? test : test.skip;

/** Sends from `b` to `a` and back. */
async function talk(t: ExecutionContext, b: Probe, a: Probe): Promise<void> {
  b.send('a', 'data', 'found');
  await a.until(() => a.texts().includes('found'));
  a.send('b', 'data', 'found too');
  await b.until(() => b.texts().includes('found too'));
  t.deepEqual([a.eventLines(), b.eventLines()], [['peer.up b 1'], ['peer.up a 1']]);
}

test('addresses: a peer is found past a place where nobody listens and one where nobody speaks', async (t) => {
  const a = await open(t, 'a');
  const others = [await silentPlace(t), a.endpoints];
  const first = await vacantPlace(t);
  const b = await open(t, 'b', { tryMs: 50, giveUpMs: 600_000, peers: () => ({ ...first, others }) });
  await talk(t, b, a);
});

test('addresses: TRA-12, whom no way leads to is told of at each end of an attempt, and found when there is one', async (t) => {
  const far = await open(t, 'far');
  const nowhere = await vacantPlace(t);
  const near = await open(t, 'near', { giveUpMs: 1000, peers: () => nowhere });
  near.send('far', 'data', 'found');
  await near.until(() => near.events.length === 2);
  t.deepEqual(near.eventLines(), ['peer.unreached far 0', 'peer.unreached far 0']);
  (near.transport as ZmqTransport).setPeers(() => far.endpoints);
  await far.until(() => far.texts().includes('found'));
  t.true(near.eventLines().includes('peer.up far 1'));
});

test('addresses: a peer that calls is called back at the last place that it named', async (t) => {
  const a = await open(t, 'a');
  const b = await open(t, 'b', {
    listen: { kind: 'tcp', host: '127.0.0.1', advertise: ['127.0.0.9', '127.0.0.8', '127.0.0.1'] },
    peers: () => a.endpoints,
  });
  t.is(b.endpoints.others?.length, 2);
  await talk(t, b, a);
});

withCurve('addresses: whoever sits at a place of a peer with another key is not the peer', async (t) => {
  const curve = ofOneRun();
  const a = await open(t, 'a', { curve });
  const stranger = await open(t, 'a', { curve: ofOneRun() });
  const b = await open(t, 'b', { curve, peers: () => ({ ...stranger.endpoints, others: [a.endpoints] }) });
  await talk(t, b, a);
  t.deepEqual(stranger.events, []);
});

withCurve('addresses: whoever has the key of the run but not the name does not answer a hello', async (t) => {
  const curve = ofOneRun();
  const a = await open(t, 'a', { curve });
  const other = await open(t, 'c', { curve });
  const b = await open(t, 'b', { curve, peers: () => other.endpoints });
  b.send('a', 'data', 'found');
  // A message of another link has come and gone: the hello for `a` was judged before.
  for (let trip = 1; other.transport.stats().packetsRefused === 0; trip++) {
    b.transport.send(nodeId('c'), 'data', { header: Uint8Array.of(1), frames: [] });
    await other.until(() => other.arrivals.length === trip);
  }
  t.deepEqual(other.eventLines(), ['peer.up b 1']);
  (b.transport as ZmqTransport).setPeers(() => a.endpoints);
  await a.until(() => a.arrivals.length === 1);
  t.deepEqual(b.eventLines(), ['peer.up c 1', 'peer.up a 1']);
});

test('addresses: a peer that was found is kept, though it names only a place where nobody is', async (t) => {
  const a = await open(t, 'a', { listen: { kind: 'tcp', host: '127.0.0.1', advertise: ['127.0.0.9'] } });
  const place = (endpoint: string): string => endpoint.replace('127.0.0.9', '127.0.0.1');
  const { control, data } = a.endpoints;
  const b = await open(t, 'b', { peers: () => ({ control: place(control), data: place(data) }) });
  await talk(t, b, a);
});

test('addresses: a peer that comes back elsewhere is found when the topology says where', async (t) => {
  const a = await open(t, 'a');
  const b = await open(t, 'b', { peers: () => a.endpoints });
  await talk(t, b, a);
  await a.transport.close(0);
  await b.until(() => b.events.length === 2);
  const next = await open(t, 'a', { incarnation: 2 });
  b.send('a', 'data', 'where are you');
  (b.transport as ZmqTransport).setPeers(() => next.endpoints);
  await next.until(() => next.arrivals.length === 1);
  t.is(b.eventLines().at(-1), 'peer.up a 2');
});

const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);
(hasIpv6 ? test : test.skip)('addresses: IPv6, with brackets and without', async (t) => {
  const a = await open(t, 'a', { listen: { kind: 'tcp', host: '::1' } });
  const b = await open(t, 'b', { listen: { kind: 'tcp', host: '[::1]' }, peers: () => a.endpoints });
  t.regex(a.endpoints.control, /^tcp:\/\/\[::1\]:\d+$/);
  await talk(t, b, a);
});

withCurve('addresses: a node that listens everywhere offers nothing local', async (t) => {
  const hostsOf = ({ control, others = [] }: Endpoints): readonly string[] =>
    [control, ...others.map((place) => place.control)].map((each) =>
      each.slice('tcp://'.length, each.lastIndexOf(':')),
    );
  const reachable = Object.values(networkInterfaces()).some((all) =>
    all?.some(({ address, internal }) => !internal && !/^(?:fe80|169\.254)/.test(address)),
  );
  const everywhere = { kind: 'tcp', host: '*' } as const;
  const opening = open(t, 'a', { curve: ofOneRun(), listen: everywhere });
  if (reachable) t.false(hostsOf((await opening).endpoints).some(isLoopback));
  else await t.throwsAsync(opening, { code: 'TROUPE_TRANSPORT_ADDRESS' });
  for (const host of ['127.0.0.1', 'localhost', '[::1]', 'fe80::1', '0.0.0.0'])
    await t.throwsAsync(
      open(t, 'a', { curve: ofOneRun(), listen: { ...everywhere, advertise: ['gpu-1', host] } }),
      { code: 'TROUPE_TRANSPORT_ENDPOINT', message: /loopback, link-local or wildcard/ },
      host,
    );
});
