import type { Device, ExactSum } from '@troupe/core';
import { compute, type ConformanceBody, type Test } from './body.ts';
import { firstDifference } from './compare.ts';
import { Draw } from './draw.ts';
import { targetCases } from './target-cases.ts';

type Bits = ArrayLike<number | bigint>;

const emptySum = (device: Device, length: number): ExactSum => ({
  values: device.int64s(length),
  overflow: device.ints(1),
});

/** KER-3: a gradient has the same bits whether its leaves are added to a sum, begin one, or are stored as floats. */
export function conformTargets(test: Test, body: ConformanceBody): void {
  for (const [name, build] of Object.entries(targetCases)) {
    test(`${body.name} gradient of ${name}: added, begun and stored, it has the same bits`, async (t) => {
      const first: Bits[] = [];
      for (const threads of [1, 2, 3]) {
        const device = await body.open({ threads });
        const { lengths, covers = () => true, call } = build(device, new Draw(11));
        const garbage = new Draw(12);
        const added = lengths.map((length) => emptySum(device, length));
        const begun = lengths.map((length) => ({ ...garbage.sum(device, length), begin: true }));
        const stored = lengths.map((length) => ({
          gradient: garbage.floats(device, length),
          overflow: device.ints(1),
        }));
        const before = {
          begun: begun.map(({ values }) => values.slice()),
          stored: stored.map(({ gradient }) => gradient.slice()),
        };
        const expect = (found: Bits, expected: Bits, untouched: Bits, what: string): void => {
          const wanted = Array.from(expected, (value, i) => (covers(i) ? value : untouched[i]!));
          t.is(firstDifference(found, wanted), -1, `${what}, ${threads} threads`);
        };
        await compute(device, [call(added), call(begun), call(stored)]);
        for (const [i, { values }] of added.entries()) {
          const floats = device.floats(values.length);
          await compute(device, [{ op: 'sum.read', sum: values, out: floats }]);
          expect(begun[i]!.values, values, before.begun[i]!, `result ${i} begun`);
          expect(stored[i]!.gradient, floats, before.stored[i]!, `result ${i} stored`);
          if (body.bitwise) {
            first[i] ??= values;
            t.is(firstDifference(values, first[i]), -1, `result ${i}: ${threads} threads and 1`);
          }
        }
        // A begun sum begins again in the next call; one that only adds goes on.
        await compute(device, [
          call(begun),
          call(begun.map(({ values, overflow }) => ({ values, overflow }))),
        ]);
        for (const [i, { values }] of added.entries()) {
          const twice = values.map((value) => 2n * value);
          expect(begun[i]!.values, twice, before.begun[i]!, `result ${i} begun again, then added`);
        }
        await device.close();
      }
    });
  }

  test(`${body.name} stored gradients: a leaf out of range raises the flag and counts as zero`, async (t) => {
    const device = await body.open();
    const weightSum = { gradient: device.floats(2).fill(9), overflow: device.ints(1) };
    const [dOut, x] = [device.floats(2), device.floats(1).fill(1)];
    dOut.set([64, 0.5]);
    const shape = { rows: 1, inDim: 1, outDim: 2, dOut: { data: dOut }, x: { data: x } };
    const grainStarts = Int32Array.of(0, 1);
    await compute(device, [{ op: 'linear.backward.weight', ...shape, grainStarts, weightSum }]);
    t.deepEqual([...weightSum.gradient], [0, 0.5]);
    t.is(weightSum.overflow[0], 1);
    await device.close();
  });

  test(`${body.name} adamw: in place, or into another large buffer, it has the same bits`, async (t) => {
    const device = await body.open();
    const length = (1 << 20) + 37;
    const small = new Draw(13).floats(device, 1000, 0.1);
    const filled = () => {
      const array = device.floats(length);
      for (let at = 0; at < length; at += small.length)
        array.set(small.subarray(0, Math.min(small.length, length - at)), at);
      return array;
    };
    const gradient = filled();
    const rates = { gradScale: 1, learningRate: 0.01, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 };
    const step = { op: 'adamw' as const, gradient, ...rates, correction1: 0.3, correction2: 0.2 };
    const [weights, inPlace, out] = [filled(), filled(), device.floats(length)];
    const moments = () => ({ m: device.floats(length), v: device.floats(length) });
    await compute(device, [
      { ...step, weights, out, ...moments() },
      { ...step, weights: inPlace, out: inPlace, ...moments() },
    ]);
    t.is(firstDifference(out, inPlace), -1);
    t.not(out[length - 1], weights[length - 1]);
    await device.close();
  });
}
