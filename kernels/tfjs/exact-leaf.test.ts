import test from 'ava';
import fc from 'fast-check';
import { addLeaves } from '../reference/exact-sum.ts';
import { addLeaf } from './exact-leaf.ts';
import { sumAdd } from './optimizer.ts';

const int64 = fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n });
/** Leaves of every size: halves of a quantum, what is near the limit, and what is out of range. */
const leaf = fc.oneof(
  fc.float(),
  fc.float({ min: -64, max: 64 }),
  fc.integer({ min: -64, max: 64 }).map((n) => n * 2 ** -51),
  fc.constantFrom(63.99999618530273, -63.99999618530273, 64, -64, NaN, Infinity, -Infinity, -0),
);
const array = <T>(element: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.array(element, { minLength: 1, maxLength: 50 });

test('addLeaf: gives the integers of the reference, carries and rounding included', (t) => {
  fc.assert(
    fc.property(array(fc.tuple(int64, leaf)), (pairs) => {
      const leaves = Float32Array.from(pairs, ([, value]) => value);
      const start = BigInt64Array.from(pairs, ([before]) => before);
      const expected = { values: BigInt64Array.of(5n, ...start), overflow: new Int32Array(1) };
      const found = { values: BigInt64Array.of(5n, ...start), overflow: new Int32Array(1) };
      addLeaves(expected, 1, Float64Array.from(leaves), leaves.length);
      addLeaf(found, 1, leaves, leaves.length);
      t.deepEqual(found, expected);
    }),
    { numRuns: 2000 },
  );
});

test('sumAdd: adds 64-bit integers', (t) => {
  fc.assert(
    fc.property(array(fc.tuple(int64, int64)), (pairs) => {
      const sum = { values: BigInt64Array.from(pairs, ([a]) => a), overflow: new Int32Array(1) };
      sumAdd({ op: 'sum.add', sum, other: BigInt64Array.from(pairs, ([, b]) => b), otherOverflow: 0 });
      t.deepEqual(
        sum.values,
        BigInt64Array.from(pairs, ([a, b]) => BigInt.asIntN(64, a + b)),
      );
    }),
    { numRuns: 500 },
  );
});
