import test from 'ava';
import * as fc from 'fast-check';
import { addLeaves, addLossLeaf, readSum, roundHalfEven } from './exact-sum.ts';
import { erf } from './activation.ts';
import { normalQuantile } from './fill.ts';

const leaf = fc.double({ min: -63.9, max: 63.9, noNaN: true });

test('addLeaves: agrees with BigInt arithmetic, in any order', (t) => {
  const property = fc.property(fc.array(leaf, { maxLength: 40 }), (leaves) => {
    const forwards = { values: new BigInt64Array(1), overflow: new Int32Array(1) };
    const backwards = { values: new BigInt64Array(1), overflow: new Int32Array(1) };
    for (const value of leaves) addLeaves(forwards, 0, Float64Array.of(value), 1);
    for (const value of leaves.toReversed()) addLeaves(backwards, 0, Float64Array.of(value), 1);
    const expected = leaves.reduce((sum, value) => sum + BigInt(roundHalfEven(value * 2 ** 50)), 0n);
    return forwards.values[0] === expected && backwards.values[0] === expected && forwards.overflow[0] === 0;
  });
  fc.assert(property);
  t.pass();
});

test('roundHalfEven: rounds halves to even, as the hardware does', (t) => {
  t.deepEqual([0.5, 1.5, 2.5, -0.5, -1.5, 0.49999999999999994, 2 ** 52 + 1].map(roundHalfEven), [
    0,
    2,
    2,
    0,
    -2,
    0,
    2 ** 52 + 1,
  ]);
});

test('readSum: rounds an int64 to f32 once', (t) => {
  // 2^54 + 2^30 + 1 is just above the middle of two f32; through float64 it would look like the middle and round to even.
  const values = BigInt64Array.of(
    2n ** 54n + 2n ** 30n + 1n,
    -(2n ** 54n) - 2n ** 30n - 1n,
    2n ** 54n + 2n ** 30n,
    2n ** 54n + 3n * 2n ** 30n - 1n,
  );
  const out = new Float32Array(4);
  readSum(values, out);
  t.deepEqual(
    Array.from(out, (value) => value * 2 ** 50),
    [2 ** 54 + 2 ** 31, -(2 ** 54) - 2 ** 31, 2 ** 54, 2 ** 54 + 2 ** 31],
  );
});

test('addLossLeaf: a loss that does not fit stays the most negative integer', (t) => {
  const sums = BigInt64Array.of(0n);
  addLossLeaf(sums, 0, 1.5);
  t.is(sums[0], 3n << 35n);
  addLossLeaf(sums, 0, Number.NaN);
  addLossLeaf(sums, 0, Number.NaN);
  addLossLeaf(sums, 0, 2);
  t.is(sums[0], -(2n ** 63n));
});

test('erf and normalQuantile: published values, and each other', (t) => {
  // Abramowitz and Stegun 1964, table 7.1; Φ⁻¹(0.975) of any statistics table.
  t.true(Math.abs(erf(0.5) - 0.5204998778130465) < 1e-15);
  t.true(Math.abs(erf(2) - 0.9953222650189527) < 1e-15);
  t.true(Math.abs(erf(3.5) - 0.9999992569016276) < 1e-15);
  t.true(Math.abs(normalQuantile(0.975) - 1.959963984540054) < 1e-14);
  for (const p of [1e-9, 1e-4, 0.02, 0.07, 0.1, 0.4, 0.6, 0.95]) {
    const z = normalQuantile(p);
    t.true(Math.abs((1 + erf(z / Math.SQRT2)) / 2 - p) < 1e-14, `p ${p}`);
  }
});
