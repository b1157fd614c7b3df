import test from 'ava';
import * as fc from 'fast-check';
import { Holders } from './holders.ts';

test('Holders: positions and workers are inverse, over one run or two', (t) => {
  const runs = fc
    .record({
      first: fc.integer({ min: 0, max: 9 }),
      stride: fc.integer({ min: 1, max: 5 }),
      count: fc.integer({ min: 1, max: 7 }),
      gap: fc.integer({ min: 1, max: 9 }),
      more: fc.integer({ min: 0, max: 7 }),
    })
    .map(({ first, stride, count, gap, more }) => {
      const behind = { first: first + stride * (count - 1) + gap, stride, count: more };
      return [{ first, stride, count }, ...(more === 0 ? [] : [behind])];
    });
  fc.assert(
    fc.property(runs, (parts) => {
      const holders = new Holders(parts);
      const workers = [...holders] as number[];
      t.is(workers.length, holders.count);
      t.is(new Set(workers).size, holders.count);
      for (let worker = 0; worker < 90; worker++) {
        const position = workers.indexOf(worker);
        t.is(holders.positionOf(worker), position < 0 ? null : position);
      }
    }),
  );
  t.throws(() => new Holders([{ first: 0, stride: 1, count: 2 }]).at(2), { code: 'TROUPE_INVARIANT' });
});
