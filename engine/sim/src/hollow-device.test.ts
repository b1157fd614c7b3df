import test from 'ava';
import { isHollowFrame, onHost, type RoutePlanCall } from '@troupe/kernel-set';
import { openHollowDevice } from './hollow-device.ts';

/** Rows of six experts in three groups, and what the device writes of them. */
function planned(load: readonly number[] | null) {
  const device = openHollowDevice(load);
  const [numTokens_R, numRows_R, counts_EG] = [device.ints(3), device.ints(3), device.ints(12)];
  const call: RoutePlanCall = {
    op: 'route.plan',
    tokens: 100,
    experts: 6,
    topK: 2,
    ranks: 3,
    rankOf_E: device.upload(Int32Array.of(0, 0, 1, 1, 2, 2)),
    choices_TK: device.ints(200),
    grainStarts: device.upload(Int32Array.of(0, 50, 100)),
    counts_EG,
    position_TK: device.ints(200),
    slots_N: device.ints(200),
    choiceOfRow_N: device.ints(200),
    rankTokens: device.ints(300),
    numTokens_R,
    numRows_R,
  };
  device.run([call]);
  const ints = (array: typeof numRows_R) => [...onHost(array)];
  return { tokens: ints(numTokens_R), rows: ints(numRows_R), counts: ints(counts_EG) };
}

test('openHollowDevice: arrays have any length, views have theirs, and frames are zeros', (t) => {
  const device = openHollowDevice();
  const vast = device.floats(1e12);
  t.is(vast.length, 1e12);
  const part = vast.subarray(4e11, 4e11 + 5);
  device.write(part, [1, 2, 3]);
  device.zero(vast);
  t.deepEqual(device.read(part), device.read(device.floats(5)));
  t.deepEqual([...device.read(part)], [0, 0, 0, 0, 0]);
  t.is(device.read(device.int64s(3)).length, 3);
  t.true(isHollowFrame(device.read(part)), 'nothing is worth a look');
  t.true(isHollowFrame(device.read(device.int64s(3)).subarray(1)));
  t.false(isHollowFrame(device.read(device.ints(3))), 'counts are there');
});

test('openHollowDevice: every expert gets as many rows as the next', (t) => {
  const { rows, counts, tokens } = planned(null);
  t.deepEqual(rows, [68, 66, 66]);
  t.deepEqual(counts, [17, 17, 17, 17, 17, 16, 17, 16, 17, 16, 17, 16]);
  t.deepEqual(tokens, [60, 60, 60]);
});

test('openHollowDevice: experts get rows in the proportions of a load', (t) => {
  const { rows, counts, tokens } = planned([5, 0, 1, 1, 2, 1]);
  t.deepEqual(rows, [100, 40, 60]);
  t.deepEqual(counts, [50, 50, 0, 0, 10, 10, 10, 10, 20, 20, 10, 10]);
  for (const [rank, distinct] of tokens.entries())
    t.true(distinct <= (rows[rank] ?? 0) && 2 * distinct >= (rows[rank] ?? 0), `${distinct}`);
});
