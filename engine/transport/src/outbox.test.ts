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

test('receipts: credit is due from a sixteenth of the window or from 256 packets on, and no more once it was taken', (t) => {
  const windowBytes = 16_000;
  const receipts = new Receipts();
  const pass = (bytes: number): boolean => {
    const seq = receipts.nextSeq;
    receipts.arrive(bytes, windowBytes);
    receipts.release(seq, bytes);
    return receipts.isDue(windowBytes);
  };
  t.deepEqual([pass(999), pass(1)], [false, true]);
  t.deepEqual(receipts.takeCredit(), [0, 2]);
  for (let packet = 1; packet < 256; packet++) t.false(pass(1));
  t.true(pass(1));
  t.deepEqual(receipts.takeCredit(), [2, 256]);
  t.false(receipts.isDue(windowBytes));
});
