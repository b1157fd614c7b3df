import { nodeId, silentLogger } from '@troupe/core';
import test from 'ava';
import { ManualClock } from './conformance/probe.ts';
import type { LinkHost } from './link-host.ts';
import { Link } from './link.ts';

const host: LinkHost = {
  node: nodeId('a'),
  incarnation: 1,
  run: '',
  endpoints: { control: 'ipc://a', data: 'ipc://b' },
  clock: new ManualClock(),
  logger: silentLogger,
  creditBytes: { control: 1000, data: 1000 },
  maxFrameBytes: 1000,
  redialMs: 1,
  giveUpMs: 1,
  tryMs: 1,
  refusedMs: 1,
  resolve: () => undefined,
  check: () => undefined,
  isSecured: () => false,
  seal: (hello) => hello,
  refused: () => undefined,
  open: () => {
    throw new Error('nothing is dialled here');
  },
  emit: () => undefined,
  deliver: () => undefined,
  counted: () => undefined,
  route: () => undefined,
  progress: () => undefined,
};

test('link: a message that is routed to a link without that session is a bug, not garbage', (t) => {
  const link = new Link(host, nodeId('b'));
  const prologue = { type: 'packets', lane: 'data', token: 7, first: 0, count: 1 } as const;
  t.throws(() => link.onMessage(prologue, [new Uint8Array(64)]), {
    code: 'TROUPE_INVARIANT',
    message: /link of its session/,
  });
});
