import type { Device } from '@troupe/kernel-set';
import { compute, type ConformanceBody, type Test } from './body.ts';
import { intsOf } from './device-values.ts';

/** Bits of a probability, then how far behind a sequence stands. */
const keyOf = (bits: number, sequence: number): bigint =>
  (BigInt(bits) << 32n) + 0xffffffffn - BigInt(sequence);

const QUARTER = 0x3e800000;
const HALF = 0x3f000000;

/** One group of two sequences at two positions, two experts that take one each: pairs after a step, and what was added up. */
async function stepped(device: Device, before: readonly number[], numValid: readonly number[]) {
  const keys = device.int64s(4);
  device.write(
    keys,
    BigInt64Array.of(keyOf(HALF, 0), keyOf(QUARTER, 1), keyOf(QUARTER, 0), keyOf(QUARTER, 0)),
  );
  const sums = device.int64s(3);
  const sum = { values: device.int64s(4), overflow: device.ints(1), begin: true };
  const thresholds = device.floats(4);
  device.write(thresholds, before);
  await compute(device, [
    {
      op: 'choice.thresholds',
      positions: 2,
      experts: 2,
      take: 1,
      sources: [{ keys, numValid: intsOf(device, numValid) }],
      groupSequences: 2,
      chosen: 1,
      thresholds: device.int64s(4),
      probSums_E: sums.subarray(0, 2),
      numGroups: sums.subarray(2),
    },
    { op: 'threshold.count', experts: 2, probSums_E: sums.subarray(0, 2), numGroups: sums.subarray(2), sum },
    { op: 'threshold.step', thresholds, out: thresholds, sum: sum.values, fresh: 0.01 },
  ]);
  return { sum: Array.from(device.read(sum.values), Number), after: Array.from(device.read(thresholds)) };
}

/** Learned thresholds: exact sums, the first of them as it is, then a hundredth of each. */
export function conformThreshold(test: Test, body: ConformanceBody): void {
  test(`${body.name} threshold.step: the mean of the k-th probabilities begins the average, and moves it by a hundredth then`, async (t) => {
    const device = await body.open();
    const unit = 2 ** 36;
    const first = await stepped(device, [0, 0, 0, 0], [2, 2]);
    t.deepEqual(first.sum, [0.75 * unit, 2, 0.5 * unit, 2]);
    t.deepEqual(first.after, [0.375, 1, 0.25, 1]);
    const second = await stepped(device, [0.5, 1, 0.25, 1], [2, 2]);
    t.deepEqual(second.after, [Math.fround(0.99 * 0.5 + 0.01 * 0.375), 2, 0.25, 2]);
    t.deepEqual((await stepped(device, [0.5, 3, 0.25, 3], [0, 0])).after, [0.5, 3, 0.25, 3], 'no group');
    await device.close();
  });
}
