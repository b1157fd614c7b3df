import test from 'ava';
import { nodeId, type Packet } from '@troupe/core';
import { createMemoryNetwork } from '../index.ts';
import { memoryNetwork } from './network.ts';
import { transportConformance } from './suite.ts';

transportConformance(test, 'memory', memoryNetwork);

const packet: Packet = { header: Uint8Array.of(1), frames: [Uint8Array.of(2)] };

test('memory: frames travel by reference, through the given scheduler', (t) => {
  const turns: (() => void)[] = [];
  const network = createMemoryNetwork({ schedule: (run) => turns.push(run) });
  const a = network.connect(nodeId('a'), 1);
  const b = network.connect(nodeId('b'), 1);
  const taken: Packet[] = [];
  b.onPacket((_, __, arrived) => taken.push(arrived));
  a.send(nodeId('b'), 'data', packet);
  t.is(taken.length, 0);
  while (turns.length > 0) turns.shift()!();
  t.is(taken[0], packet);
});

test('memory: a handler that throws ends its transport, and the error surfaces in the scheduler', (t) => {
  const turns: (() => void)[] = [];
  const network = createMemoryNetwork({ schedule: (run) => turns.push(run) });
  const a = network.connect(nodeId('a'), 1);
  const b = network.connect(nodeId('b'), 1);
  const lost: string[] = [];
  a.onPeer((event) => lost.push(event.type));
  a.onPacket(() => {});
  b.onPacket(() => {
    throw new Error('a bug');
  });
  a.send(nodeId('b'), 'data', packet);
  t.throws(
    () => {
      while (turns.length > 0) turns.shift()!();
    },
    { message: 'a bug' },
  );
  while (turns.length > 0) turns.shift()!();
  t.deepEqual(lost, ['peer.up', 'peer.lost']);
  t.throws(() => b.send(nodeId('a'), 'data', packet), { code: 'TROUPE_TRANSPORT_CLOSED' });
});

test('memory: the same life cannot be attached twice', (t) => {
  const network = createMemoryNetwork();
  network.connect(nodeId('a'), 1);
  t.throws(() => network.connect(nodeId('a'), 1), { code: 'TROUPE_TRANSPORT_ADDRESS_IN_USE' });
});
