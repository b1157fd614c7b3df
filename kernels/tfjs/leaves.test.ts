import test from 'ava';
import { GRADIENT_LEAF_LIMIT } from '@troupe/kernel-set';
import fc from 'fast-check';
import { addLeaves } from '../reference/exact-sum.ts';
import { intoTarget } from '../reference/gradient-target.ts';
import { intoLeaves } from './leaves.ts';

/** Small ones, of which many fit into float64, and those that do not: large, at the limit, out of range. */
const small = fc.float({ min: -0.5, max: 0.5, noNaN: true });
const large = fc.oneof(
  fc.float({ min: -GRADIENT_LEAF_LIMIT, max: GRADIENT_LEAF_LIMIT, noNaN: true }),
  fc.integer({ min: -64, max: 64 }).map((n) => n * 2 ** -51),
  fc.constantFrom(64 - 2 ** -18, 2 ** -18 - 64, 64, Number.NaN, -Infinity, -0),
);

for (const [what, leaf] of [
  ['small ones', small],
  ['any', fc.oneof(small, large)],
] as const) {
  test(`leaves: a stored gradient is the reference's, bit for bit: ${what}`, (t) => {
    const length = 5;
    const leaves = fc.array(
      fc.record({ at: fc.constantFrom(0, 2), values: fc.array(leaf, { minLength: 3, maxLength: 3 }) }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(leaves, (added) => {
        const targets = [0, 1].map(() => ({
          gradient: new Float32Array(length + 3).fill(7),
          overflow: new Int32Array(1),
        }));
        const [expected, found] = [targets[0]!, targets[1]!];
        intoTarget(expected, 1, length, (sum) => {
          for (const { at, values } of added) addLeaves(sum, at, Float64Array.from(values), values.length);
        });
        const scratch = (count: number) => new Float64Array(count).fill(9);
        intoLeaves(found, { first: 1, length }, scratch, (sums) => {
          for (const { at, values } of added) sums.add(at, Float32Array.from(values), values.length);
        });
        t.deepEqual(found, expected);
      }),
      { numRuns: 3000 },
    );
  });
}
