import test from 'ava';
import { LOSS_QUANTUM_LOG2 } from '@troupe/kernel-set';
import { wideInteger, wideNumber } from '@troupe/core';
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

test('addLossLeaf: agrees with BigInt arithmetic, in any order, far beyond 64 bits', (t) => {
  const terms = fc.array(fc.double({ min: 0, max: 2 ** 80, noNaN: true }), { maxLength: 40 });
  const property = fc.property(terms, (leaves) => {
    const [forwards, backwards] = [new BigInt64Array(4), new BigInt64Array(4)];
    for (const value of leaves) addLossLeaf(forwards, 1, value);
    for (const value of leaves.toReversed()) addLossLeaf(backwards, 1, value);
    const expected = leaves.reduce((sum, value) => sum + BigInt(roundHalfEven(value * 2 ** 36)), 0n);
    t.is(wideInteger(forwards, 1), expected);
    t.is(wideInteger(forwards), 0n);
    t.deepEqual(backwards, forwards);
  });
  fc.assert(property);
});

test('addLossLeaf: a leaf that is none makes the sum none for ever', (t) => {
  for (const bad of [Number.NaN, Infinity, -Infinity, 2 ** 90, -(2 ** 90)]) {
    const sums = new BigInt64Array(2);
    addLossLeaf(sums, 0, 1.5);
    t.is(wideNumber(sums, LOSS_QUANTUM_LOG2), 1.5);
    // Four of -2^62 quanta were 0 once.
    for (const leaf of [bad, bad, bad, bad, 2]) {
      addLossLeaf(sums, 0, leaf);
      t.is(wideNumber(sums, LOSS_QUANTUM_LOG2), Number.NaN);
    }
  }
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
