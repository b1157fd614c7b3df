import test from 'ava';
import * as fc from 'fast-check';
import { divisors, editDistance, nearestName, nearestNumber } from './nearest.ts';

test('editDistance: counts one swap of neighbours as one', (t) => {
  t.is(editDistance('topk', 'topK'.toLowerCase()), 0);
  t.is(editDistance('expetrs', 'experts'), 1);
  t.is(editDistance('', 'abc'), 3);
  t.is(editDistance('kitten', 'sitting'), 3);
});

test('editDistance: is symmetric, and 0 only for equal words', (t) => {
  fc.assert(
    fc.property(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }), (a, b) => {
      t.is(editDistance(a, b), editDistance(b, a));
      t.is(editDistance(a, b) === 0, a === b);
    }),
  );
});

test('nearestName: offers what was meant and nothing far away', (t) => {
  t.is(nearestName('topk', ['topK', 'experts']), 'topK');
  t.is(nearestName('expert', ['every', 'experts']), 'experts');
  t.is(nearestName('lerningRate', ['lr', 'seed']), null);
  t.is(nearestName('zzz', ['topK']), null);
});

test('divisors: are all of them, rising', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5000 }), (n) => {
      t.deepEqual(
        divisors(n),
        Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0),
      );
    }),
    { numRuns: 50 },
  );
});

test('nearestNumber: takes the lower of two equally near', (t) => {
  t.is(nearestNumber(3, [2, 4]), 2);
  t.is(nearestNumber(3, []), null);
});
