import test from 'ava';
import * as fc from 'fast-check';
import { Tiling } from './tiling.ts';

test('tiling: agrees with one flag per element', (t) => {
  const piece = fc.tuple(fc.nat({ max: 19 }), fc.integer({ min: 1, max: 6 }));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const tiling = new Tiling(20);
      const isThere = Array.from({ length: 20 }, () => false);
      for (const [start, length] of pieces) {
        const end = Math.min(20, start + length);
        const isFree = isThere.slice(start, end).every((each) => !each);
        t.is(tiling.add(start, end), isFree);
        if (isFree) isThere.fill(true, start, end);
        const gapStart = isThere.indexOf(false);
        const gapEnd = isThere.indexOf(true, gapStart);
        t.deepEqual(tiling.gap, gapStart < 0 ? null : { start: gapStart, end: gapEnd < 0 ? 20 : gapEnd });
      }
    }),
    { numRuns: 300 },
  );
});
