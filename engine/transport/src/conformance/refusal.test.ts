import test, { type ExecutionContext } from 'ava';
import { nodeId, type TroupeError } from '@troupe/core';
import { capability, curveKeyPair } from 'zeromq';
import type { CurveKeys, ZmqTransport, ZmqTransportOptions } from '../index.ts';
import { openNode } from './open-node.ts';
import { ManualClock } from './probe.ts';
import { RefusalWatch } from '../refusal.ts';

const withCurve = capability.curve === true ? test : test.skip;

async function open(
  t: ExecutionContext,
  node: string,
  options: Partial<ZmqTransportOptions> = {},
): Promise<ZmqTransport> {
  const transport = await openNode(t, node, { refusedMs: 100, ...options });
  return transport;
}

/** What a node hears that calls `a` in vain, and what becomes of what it sent. */
async function refusalBy(
  t: ExecutionContext,
  a: ZmqTransport,
  curve: CurveKeys | undefined,
): Promise<string> {
  const heard = new Promise<TroupeError>((resolve) => {
    void open(t, 'b', {
      peers: () => a.endpoints,
      onRefused: resolve,
      ...(curve === undefined ? {} : { curve }),
    }).then((b) =>
      b.send(nodeId('a'), 'data', { header: Uint8Array.of(1), frames: [] }, (error) => {
        t.is(error?.code, 'TROUPE_TRANSPORT_REFUSED');
        t.is(b.queuedBytes(nodeId('a')), 0);
      }),
    );
  });
  t.plan(3);
  const { code, message } = await heard;
  t.is(code, 'TROUPE_TRANSPORT_REFUSED');
  return message;
}

const pair = (): { readonly public: string; readonly secret: string } => {
  const { publicKey, secretKey } = curveKeyPair();
  return { public: publicKey, secret: secretKey };
};

const shared = (): CurveKeys => {
  const keys = pair();
  return { ...keys, serverPublic: keys.public };
};

for (const [title, keysOfCaller, sentence] of [
  [
    'a key that is not let in',
    (keys: CurveKeys): CurveKeys => ({ ...pair(), serverPublic: keys.public }),
    /node 'a' cannot be talked to: tcp:\/\/127\.0\.0\.1:\d+ \(it does not admit the key of this node: a wrong key, or one of another run\)/,
  ],
  ['another key than the one pinned', shared, /it has another key than the one expected/],
  ['keys on one side only', () => undefined, /it asks for CURVE, and this node has no keys/],
] as const)
  withCurve(`refusal: ${title} ends with a sentence`, async (t) => {
    const keys = shared();
    const message = await refusalBy(t, await open(t, 'a', { curve: keys }), keysOfCaller(keys));
    if (!sentence.test(message)) t.fail(message);
  });

withCurve('refusal: no CURVE on the other side ends with a sentence', async (t) => {
  const message = await refusalBy(t, await open(t, 'a'), shared());
  if (!/there is no CURVE on the other side/.test(message)) t.fail(message);
});

test('refusal: a few in a long time, as of a busy peer, and many at once are none yet', (t) => {
  const clock = new ManualClock();
  const watch = new RefusalWatch(clock, 5000);
  const after = (ms: number): boolean => {
    clock.advance(ms);
    return watch.refused();
  };
  t.deepEqual([5000, 5000, 5000].map(after), [false, false, false]);
  watch.clear();
  t.false(Array.from({ length: 50 }, () => after(99)).includes(true));
  t.true(after(150));
});
