import test from 'ava';
import * as fc from 'fast-check';
import type { Packet } from '@troupe/core';
import {
  decodeBatch,
  encodeBatch,
  encodeCredit,
  externalFrameBytes,
  GarbageError,
  readPrologue,
} from './framing.ts';

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc
    .integer({ min: externalFrameBytes - 2, max: externalFrameBytes + 2 })
    .map((length) => new Uint8Array(length).fill(length)),
);
const packet: fc.Arbitrary<Packet> = fc.record({
  header: fc.uint8Array({ maxLength: 200 }),
  frames: fc.array(bytes, { maxLength: 4 }),
});
const packets = fc.array(packet, { minLength: 1, maxLength: 8 });

const plain = (packet: Packet): string[] =>
  [packet.header, ...packet.frames].map((part) => Buffer.from(part).toString('base64'));

const encodeAll = (list: readonly Packet[]): Uint8Array[][] => {
  const queue = [...list];
  const batches: Uint8Array[][] = [];
  for (;;) {
    const parts = encodeBatch({ lane: 'data', token: 5, first: list.length - queue.length }, () =>
      queue.shift(),
    );
    if (parts === undefined) return batches;
    batches.push(parts);
  }
};

test('framing: packets come out of their batches as they went in, small frames aligned to 8 bytes', (t) => {
  fc.assert(
    fc.property(packets, (list) => {
      const received: Packet[] = [];
      for (const parts of encodeAll(list)) {
        const prologue = readPrologue(parts[0]!);
        t.is(prologue.first, received.length);
        received.push(...decodeBatch(parts, prologue.count));
      }
      t.deepEqual(received.map(plain), list.map(plain));
      const small = received
        .flatMap(({ frames }) => frames)
        .filter((frame) => frame.byteLength < externalFrameBytes);
      t.true(small.every((frame) => frame.byteOffset % 8 === 0));
    }),
    { numRuns: 50 },
  );
});

test('framing: large frames are not copied on the way out', (t) => {
  const frame = new Uint8Array(externalFrameBytes);
  const [[, part]] = encodeAll([{ header: new Uint8Array(1), frames: [frame] }]) as [Uint8Array[]];
  t.is(part, frame);
});

test('framing: a damaged batch decodes or is garbage, and nothing else happens', (t) => {
  const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 });
  let numGarbage = 0;
  fc.assert(
    fc.property(packets, edits, fc.boolean(), (list, changes, drop) => {
      const parts = encodeAll(list)[0]!;
      const first = Uint8Array.from(parts[0]!);
      for (const [at, value] of changes) first[at % first.length] = value;
      const damaged = [first, ...(drop ? parts.slice(2) : parts.slice(1))];
      try {
        decodeBatch(damaged, readPrologue(first).count);
      } catch (error) {
        if (!(error instanceof GarbageError)) throw error;
        numGarbage++;
      }
    }),
    { numRuns: 2000 },
  );
  t.true(numGarbage > 100);
});

test('framing: a packet that changes while it is encoded is noticed', (t) => {
  let reads = 0;
  // Its header is 16 bytes long when the batch is measured, and 8 when it is written.
  const changing = {
    get header() {
      return new Uint8Array(reads++ === 0 ? 16 : 8);
    },
    frames: [new Uint8Array(64)],
  };
  let taken = false;
  const take = (): typeof changing | undefined => {
    if (taken) return undefined;
    taken = true;
    return changing;
  };
  t.throws(() => encodeBatch({ lane: 'data', token: 1, first: 0 }, take), {
    code: 'TROUPE_INVARIANT',
    message: /fill its first part/,
  });
  t.throws(() => encodeCredit(1, 'data', [3]), { code: 'TROUPE_INVARIANT', message: /runs/ });
  t.throws(
    () =>
      encodeBatch({ lane: 'data', token: 0.5, first: 0 }, () => ({ header: new Uint8Array(8), frames: [] })),
    {
      code: 'TROUPE_INVARIANT',
      message: /exact integers/,
    },
  );
});
