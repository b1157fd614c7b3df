import { leafLimit, type Device, type ExactSum } from '@troupe/core';
import type { KernelShapeError } from '../errors.ts';
import { openReferenceDevice } from '../reference/reference-device.ts';
import { compute, submit, type ConformanceBody, type Test } from './body.ts';
import { firstDifference, largestError } from './compare.ts';
import { Draw } from './draw.ts';
import { longHead, targetCases } from './target-cases.ts';

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

  for (const [name, build] of Object.entries(targetCases)) {
    test(`${body.name} gradient of ${name}: leaves from a smaller limit on raise the flag and count as zero`, async (t) => {
      for (const open of [() => body.open(), ...(body.family ?? [])]) {
        const device = await open();
        const { lengths, covers = () => true, call } = build(device, new Draw(11));
        const under = async (kind: 'added' | 'stored', leafLimit?: number) => {
          const range = () => ({
            overflow: device.ints(1),
            ...(leafLimit === undefined ? {} : { leafLimit }),
          });
          const targets = lengths.map((length) =>
            kind === 'stored'
              ? { gradient: device.floats(length), ...range() }
              : { values: device.int64s(length), ...range() },
          );
          await compute(device, [call(targets)]);
          const values = targets.map((target): Bits =>
            'values' in target ? target.values : target.gradient,
          );
          return { values, flag: Math.max(...targets.map(({ overflow }) => overflow[0]!)) };
        };
        for (const kind of ['added', 'stored'] as const) {
          const usual = await under(kind);
          const named = await under(kind, 64);
          t.is(named.flag, usual.flag);
          for (const [i, each] of named.values.entries())
            t.is(firstDifference(each, usual.values[i]!), -1, `${device.info.name} ${kind}`);
          const none = await under(kind, 2 ** -26);
          const isEmpty = usual.values.every((each) =>
            Array.from(each).every((value) => Number(value) === 0),
          );
          t.is(none.flag, isEmpty ? 0 : 1, `${device.info.name} ${kind}`);
          // What is left is smaller than a limit a leaf.
          const most = kind === 'added' ? 2 ** 24 * 64 : 2 ** -26 * 64;
          for (const each of none.values)
            t.true(Array.from(each).every((value, i) => !covers(i) || Math.abs(Number(value)) <= most));
        }
        await device.close();
      }
    });
  }

  test(`${body.name} gradient of the head over grains of 520 and 540 rows: agrees with the float64 reference`, async (t) => {
    const gradientOn = async (device: Device): Promise<Bits> => {
      const { lengths, call } = longHead(device, new Draw(14));
      const gradient = device.floats(lengths[0]!);
      await compute(device, [call([{ gradient, overflow: device.ints(1) }])]);
      return gradient;
    };
    const expected = Float64Array.from(await gradientOn(openReferenceDevice({ dtype: 'f64' })), Number);
    for (const open of [() => body.open({ threads: 1 }), () => body.open(), ...(body.family ?? [])]) {
      const device = await open();
      const error = largestError(Float64Array.from(await gradientOn(device), Number), expected);
      t.true(error <= body.tolerance.gradient, `${device.info.name}: ${error}`);
      await device.close();
    }
  });

  test(`${body.name} gradient sums: 256 leaves just below their limit are exact, where 64 would wrap`, async (t) => {
    const device = await body.open();
    const rows = 256;
    const leaf = 32 * (1 - 2 ** -24);
    const grainStarts = Int32Array.from({ length: rows + 1 }, (_, row) => row);
    const x = { data: device.floats(rows).fill(1) };
    const run = async (first: number, begin: boolean, sum: ExactSum): Promise<void> => {
      const dOut = { data: device.floats(rows).fill(leaf) };
      dOut.data[0] = first;
      const shape = { rows, inDim: 1, outDim: 1, dOut, x, grainStarts };
      await compute(device, [{ op: 'linear.backward.weight', ...shape, weightSum: { ...sum, begin } }]);
    };
    const sum = { ...emptySum(device, 1), leafLimit: leafLimit(rows) };
    await run(leaf, true, sum);
    t.is(sum.values[0], 256n * BigInt(leaf * 2 ** 50));
    t.is(sum.overflow[0], 0);
    await run(32, true, sum);
    t.is(sum.values[0], 255n * BigInt(leaf * 2 ** 50));
    t.is(sum.overflow[0], 1);
    await device.close();
  });

  test(`${body.name} gradients: a limit of leaves that is none is refused`, async (t) => {
    const device = await body.open();
    const one = { data: device.floats(1) };
    const shape = { rows: 1, inDim: 1, outDim: 1, dOut: one, x: one, grainStarts: Int32Array.of(0, 1) };
    for (const wrong of [0, -1, 2 ** -27, 65, Number.NaN, Infinity])
      for (const target of [emptySum(device, 1), { gradient: device.floats(1), overflow: device.ints(1) }]) {
        const weightSum = { ...target, leafLimit: wrong };
        const { error } = await submit(device, [{ op: 'linear.backward.weight', ...shape, weightSum }]);
        t.is((error as KernelShapeError | null)?.code, 'TROUPE_KERNEL_SHAPE', `${wrong}`);
      }
    await device.close();
  });

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
