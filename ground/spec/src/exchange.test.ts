import test from 'ava';
import fc from 'fast-check';
import { cutAtUnits, Exchange, exchangeLevels, exchangeSlices } from './exchange.ts';

const sizesOf = (numPeers: number, perMachine: number, fanout: number): readonly number[] =>
  exchangeLevels(numPeers, { perMachine, fanout }).map(({ size }) => size);

test('exchangeLevels: one level up to the fan-out, then machines first and groups within it', (t) => {
  t.deepEqual(sizesOf(1, 8, 8), [1]);
  t.deepEqual(sizesOf(8, 4, 8), [8]);
  t.deepEqual(sizesOf(12, 4, 8), [4, 3]);
  t.deepEqual(sizesOf(64, 8, 8), [8, 8]);
  t.deepEqual(sizesOf(4096, 8, 8), [8, 8, 8, 8]);
  t.deepEqual(sizesOf(512, 1, 8), [8, 8, 8]);
  t.deepEqual(sizesOf(16, 16, 8), [8, 2]);
  t.deepEqual(sizesOf(4, 4, 2), [2, 2]);
  t.deepEqual(sizesOf(22, 2, 8), [2, 11], 'a prime above the fan-out stays whole');
  t.deepEqual(sizesOf(4096, 8, 0), [4096], '0: all at once');
});

const LENGTH = 1024 * 37;

test('EXC-1, EXC-2: the slices of all peers make up the buffer, and the parts of a group what it shares', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 72 }),
      fc.integer({ min: 1, max: 16 }),
      fc.integer({ min: 2, max: 9 }),
      (numPeers, perMachine, fanout) => {
        const levels = exchangeLevels(numPeers, { perMachine, fanout });
        t.is(
          levels.reduce((product, { size }) => product * size, 1),
          numPeers,
        );
        const all = Array.from({ length: numPeers }, (_, position) => new Exchange(LENGTH, position, levels));
        const slices = all
          .map((each) => each.part(levels.length))
          .toSorted((a, b) => a.from - b.from || a.to - b.to);
        t.deepEqual(
          exchangeSlices(LENGTH, levels).map(({ part }) => part),
          slices,
        );
        for (const { position, part } of exchangeSlices(LENGTH, levels))
          t.deepEqual(all[position]?.part(levels.length), part);
        t.is(slices[0]?.from, 0);
        t.is(slices.at(-1)?.to, LENGTH);
        t.deepEqual(
          slices.slice(1).map(({ from }) => from),
          slices.slice(0, -1).map(({ to }) => to),
        );
        all.forEach((each, position) => {
          for (let level = 0; level < levels.length; level++) {
            const group = each.group(level);
            t.deepEqual(
              group.map(({ part }) => part.to).slice(0, -1),
              group.map(({ part }) => part.from).slice(1),
            );
            t.deepEqual({ from: group[0]?.part.from, to: group.at(-1)?.part.to }, each.part(level));
            t.is(each.others(level).length, group.length - 1);
            for (const { position: other, part } of group) {
              t.deepEqual(all[other]?.part(level), each.part(level), 'a group shares what it divides');
              t.deepEqual(all[other]?.part(level + 1), part);
              t.is(all[other]?.group(level).find((peer) => peer.position === position)?.position, position);
            }
          }
        });
      },
    ),
    { numRuns: 30 },
  );
});

test('Exchange: what is added up level by level is the sum over all peers, with few messages', (t) => {
  const levels = exchangeLevels(64, { perMachine: 8, fanout: 8 });
  const all = Array.from({ length: 64 }, (_, position) => new Exchange(LENGTH, position, levels));
  // Element i of peer p is p·3 + i mod 7; one number for each kilobyte of the buffer is enough.
  const blocks = LENGTH / 1024;
  const sums = all.map((_, p) => Array.from({ length: blocks }, (__, i) => p * 3 + (i % 7)));
  let messages = 0;
  for (let level = 0; level < levels.length; level++) {
    const sent = all.flatMap((each, from) =>
      each.others(level).map(({ position, part }) => ({
        position,
        part,
        values: sums[from]!.slice(part.from / 1024, part.to / 1024),
      })),
    );
    for (const { position, part, values } of sent) {
      messages++;
      values.forEach((value, i) => (sums[position]![part.from / 1024 + i]! += value));
    }
  }
  all.forEach((each, p) => {
    const { from, to } = each.part(levels.length);
    for (let i = from / 1024; i < to / 1024; i++) t.is(sums[p]![i], (3 * 64 * 63) / 2 + 64 * (i % 7));
  });
  t.is(messages / 64, 14);
});

test('cutAtUnits: parts end where units do, and the dearest is as cheap as they allow; some may be empty', (t) => {
  const starts = [0, 10, 20, 90];
  const cut = cutAtUnits({ starts }, [10, 10, 70, 10]);
  t.deepEqual(cut({ from: 0, to: 100 }, 2), [0, 20, 100]);
  t.deepEqual(cut({ from: 0, to: 100 }, 3), [0, 20, 90, 100]);
  t.deepEqual(cut({ from: 0, to: 100 }, 5), [0, 20, 90, 100, 100, 100], 'a unit of 70 is one part');
  t.deepEqual(cut({ from: 20, to: 90 }, 3), [20, 90, 90, 90]);
  t.deepEqual(
    cutAtUnits({ starts }, [5, 5, 1, 9])({ from: 0, to: 100 }, 2),
    [0, 20, 100],
    'by cost, not length',
  );
  t.deepEqual(cutAtUnits({ starts }, [0, 0, 0, 0])({ from: 0, to: 100 }, 2), [0, 100, 100]);
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 24 }),
      fc.integer({ min: 2, max: 4 }),
      (sizes, numPeers, fanout) => {
        const starts = sizes.map((_, unit) => 1024 * sizes.slice(0, unit).reduce((a, b) => a + b, 0));
        const length = 1024 * sizes.reduce((a, b) => a + b, 0);
        const levels = exchangeLevels(numPeers, { perMachine: 1, fanout });
        const slices = Array.from({ length: numPeers }, (_, position) =>
          new Exchange(length, position, levels, cutAtUnits({ starts }, sizes)).part(levels.length),
        ).toSorted((a, b) => a.from - b.from || a.to - b.to);
        t.is(slices[0]?.from, 0);
        t.is(slices.at(-1)?.to, length);
        slices.forEach(({ from, to }, index) => {
          t.is(to, slices[index + 1]?.from ?? length);
          t.true(starts.includes(from) || from === length);
        });
      },
    ),
    { numRuns: 50 },
  );
});
