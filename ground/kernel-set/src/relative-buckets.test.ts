import test from 'ava';
import { bucketOf, bucketsMistake, bucketStarts } from './relative-buckets.ts';

const causal = { buckets: 32, bidirectional: false, maxDistance: 128 };
const both = { buckets: 32, bidirectional: true, maxDistance: 128 };

test('bucketStarts: buckets of T5 begin where their logarithms say', (t) => {
  const singles = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
  const far = [16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113];
  t.deepEqual(bucketStarts(causal), [...singles(16), ...far]);
  t.deepEqual(bucketStarts(both), [...singles(8), 8, 12, 16, 23, 32, 46, 64, 91]);
});

test('bucketOf: distances of both directions, and of keys before the query', (t) => {
  const of = (distances: readonly number[], relative: typeof both) => distances.map(bucketOf(relative));
  t.deepEqual(of([-128, -12, -11, 0, 1, 7, 8, 91, 5000], both), [15, 9, 8, 0, 17, 23, 24, 31, 31]);
  t.deepEqual(of([1, 0, -15, -18, -19, -112, -113], causal), [0, 0, 15, 16, 17, 30, 31]);
});

test('bucketOf: agrees with the logarithm in float64 wherever that is not within rounding of a whole number', (t) => {
  let compared = 0;
  for (const [buckets, bidirectional, maxDistance] of [
    [32, true, 128],
    [32, false, 128],
    [10, false, 20],
    [9, true, 50],
    [256, false, 4096],
    [2, false, 2],
    [4, true, 2],
  ] as const) {
    const own = bidirectional ? Math.floor(buckets / 2) : buckets;
    const exact = Math.floor(own / 2);
    const bucket = bucketOf({ buckets, bidirectional, maxDistance });
    for (let n = exact; n < 3000; n++) {
      const place = (Math.log(n / exact) / Math.log(maxDistance / exact)) * (own - exact);
      if (Math.abs(place - Math.round(place)) < 1e-9) continue;
      t.is(bucket(-n), Math.min(own - 1, exact + Math.floor(place)), `${buckets} of ${maxDistance}: ${n}`);
      compared++;
    }
  }
  t.true(compared > 15_000, `${compared}`);
});

test('bucketsMistake: names what no table can have', (t) => {
  t.is(bucketsMistake(both), null);
  t.is(bucketsMistake({ ...both, buckets: 3 }), 'buckets is 3, expected 4 to 256');
  t.is(bucketsMistake({ ...causal, buckets: 1.5 }), 'buckets is 1.5, expected 2 to 256');
  t.is(bucketsMistake({ ...causal, maxDistance: 16 }), 'maxDistance is 16, expected 17 to 1048576');
});
