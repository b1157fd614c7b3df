import type { Packet } from '@troupe/core';
import test from 'ava';
import { Outbox } from './outbox.ts';
import { Receipts } from './receipts.ts';

const packetOf = (bytes: number): Packet => ({ header: new Uint8Array(bytes), frames: [] });

test('outbox: bytes on the way stay within the window, and a larger packet enters an empty one', (t) => {
  const outbox = new Outbox(500);
  for (const bytes of [100, 100, 2000, 10]) outbox.push(packetOf(bytes), undefined);
  t.is(outbox.take()?.header.byteLength, 100);
  t.is(outbox.take()?.header.byteLength, 100);
  t.is(outbox.take(), undefined);
  t.true(outbox.acknowledge(1) && outbox.acknowledge(0));
  t.false(outbox.acknowledge(0));
  t.is(outbox.take()?.header.byteLength, 2000);
  t.is(outbox.take(), undefined);
});

test('outbox: a window that shrinks under packets on the way is noticed', (t) => {
  const outbox = new Outbox(1000);
  for (let packet = 0; packet < 3; packet++) outbox.push(packetOf(100), undefined);
  outbox.take();
  // Stands for a bug that reads one window and asserts another.
  let reads = 0;
  Object.defineProperty(outbox, 'windowBytes', { get: () => (reads++ === 0 ? 1000 : 200) });
  t.throws(() => outbox.take(), { code: 'TROUPE_INVARIANT', message: /fit the window/ });
});

test('receipts: a packet that never came, or was released before, cannot be released', (t) => {
  const receipts = new Receipts();
  t.throws(() => receipts.release(0, 100), { code: 'TROUPE_INVARIANT', message: /has arrived/ });
  t.true(receipts.arrive(100, 1000) && receipts.arrive(50, 1000));
  receipts.release(1, 50);
  t.throws(() => receipts.release(1, 50), { code: 'TROUPE_INVARIANT', message: /released once/ });
  t.throws(() => receipts.arrive(0, 1000), { code: 'TROUPE_INVARIANT', message: /costs credit/ });
});

test('receipts: a packet released with other bytes than it arrived with is noticed', (t) => {
  const receipts = new Receipts();
  t.true(receipts.arrive(100, 1000));
  t.throws(() => receipts.release(0, 99), { code: 'TROUPE_INVARIANT', message: /with the bytes/ });
});
