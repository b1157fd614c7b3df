import { leafLimit, type Device, type ExactSum } from '@troupe/kernel-set';
import type { KernelShapeError } from '../errors.ts';
import { openReferenceDevice } from '../reference/reference-device.ts';
import { compute, submit, type ConformanceBody, type Test } from './body.ts';
import { firstDifference, largestError } from './compare.ts';
import { Draw } from './draw.ts';
import { floatsOf, intsBy, intsOf } from './device-values.ts';
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
          begun: begun.map(({ values }) => device.read(values).slice()),
          stored: stored.map(({ gradient }) => device.read(gradient).slice()),
        };
        const expect = (found: Bits, expected: Bits, untouched: Bits, what: string): void => {
          const wanted = Array.from(expected, (value, i) => (covers(i) ? value : untouched[i]!));
          t.is(firstDifference(found, wanted), -1, `${what}, ${threads} threads`);
        };
        await compute(device, [call(added), call(begun), call(stored)]);
        for (const [i, { values: sum }] of added.entries()) {
          const floats = device.floats(sum.length);
          await compute(device, [{ op: 'sum.read', sum, out: floats }]);
          const values = device.read(sum);
          expect(device.read(begun[i]!.values), values, before.begun[i]!, `result ${i} begun`);
          expect(
            device.read(stored[i]!.gradient),
            device.read(floats),
            before.stored[i]!,
            `result ${i} stored`,
          );
          if (body.bitwise) {
            first[i] ??= values;
            t.is(firstDifference(values, first[i]), -1, `result ${i}: ${threads} threads and 1`);
          }
        }
        // A begun sum is overwritten by the next call; one that only adds continues.
        await compute(device, [
          call(begun),
          call(begun.map(({ values, overflow }) => ({ values, overflow }))),
        ]);
        for (const [i, { values }] of added.entries()) {
          const twice = device.read(values).map((value) => 2n * value);
          expect(
            device.read(begun[i]!.values),
            twice,
            before.begun[i]!,
            `result ${i} begun again, then added`,
          );
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
            device.read('values' in target ? target.values : target.gradient),
          );
          return { values, flag: Math.max(...targets.map(({ overflow }) => device.read(overflow)[0]!)) };
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
      return device.read(gradient);
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
    const grainStarts = intsBy(device, rows + 1, (row) => row);
    const x = { data: floatsOf(device, new Float32Array(rows).fill(1)) };
    const run = async (first: number, begin: boolean, sum: ExactSum): Promise<void> => {
      const leaves = new Float32Array(rows).fill(leaf).with(0, first);
      const dOut = { data: floatsOf(device, leaves) };
      const shape = { rows, inDim: 1, outDim: 1, dOut, x, grainStarts };
      await compute(device, [{ op: 'linear.backward.weight', ...shape, weightSum: { ...sum, begin } }]);
    };
    const sum = { ...emptySum(device, 1), leafLimit: leafLimit(rows) };
    await run(leaf, true, sum);
    t.is(device.read(sum.values)[0], 256n * BigInt(leaf * 2 ** 50));
    t.is(device.read(sum.overflow)[0], 0);
    await run(32, true, sum);
    t.is(device.read(sum.values)[0], 255n * BigInt(leaf * 2 ** 50));
    t.is(device.read(sum.overflow)[0], 1);
    await device.close();
  });

  test(`${body.name} gradients: a limit of leaves that is none is refused`, async (t) => {
    const device = await body.open();
    const one = { data: device.floats(1) };
    const shape = { rows: 1, inDim: 1, outDim: 1, dOut: one, x: one, grainStarts: intsOf(device, [0, 1]) };
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
    const weightSum = { gradient: floatsOf(device, [9, 9]), overflow: device.ints(1) };
    const [dOut, x] = [floatsOf(device, [64, 0.5]), floatsOf(device, [1])];
    const shape = { rows: 1, inDim: 1, outDim: 2, dOut: { data: dOut }, x: { data: x } };
    const grainStarts = intsOf(device, [0, 1]);
    await compute(device, [{ op: 'linear.backward.weight', ...shape, grainStarts, weightSum }]);
    t.deepEqual([...device.read(weightSum.gradient)], [0, 0.5]);
    t.is(device.read(weightSum.overflow)[0], 1);
    await device.close();
  });

  test(`${body.name} adamw: in place, or into another large buffer, it has the same bits`, async (t) => {
    const device = await body.open();
    const length = (1 << 20) + 37;
    const small = new Draw(13).values(1000, 0.1);
    const numbers = Float32Array.from({ length }, (_, at) => small[at % small.length]!);
    const filled = () => floatsOf(device, numbers);
    const gradient = filled();
    const rates = { gradScale: 1, learningRate: 0.01, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 };
    const step = { op: 'adamw' as const, gradient, ...rates, correction1: 0.3, correction2: 0.2 };
    const [weights, inPlace, out] = [filled(), filled(), device.floats(length)];
    const moments = () => ({ m: device.floats(length), v: device.floats(length) });
    await compute(device, [
      { ...step, weights, out, ...moments() },
      { ...step, weights: inPlace, out: inPlace, ...moments() },
    ]);
    t.is(firstDifference(device.read(out), device.read(inPlace)), -1);
    t.not(device.read(out)[length - 1], device.read(weights)[length - 1]);
    await device.close();
  });
}
