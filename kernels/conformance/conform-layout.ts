import type { Device, KernelCall } from '@troupe/kernel-set';
import type { ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import { compute, DEFAULT_RUNS, freshSeed, type ConformanceBody, type Test } from './body.ts';
import { firstDifference } from './compare.ts';
import { Draw } from './draw.ts';
import { fmaF32 } from './fma.ts';
import { floatsOf, intsOf } from './device-values.ts';
import type { BuildLayout } from './layout-case.ts';
import { layoutCases } from './layout-cases.ts';
import { layoutShapes } from './layout-shape.ts';

type Bits = ArrayLike<number | bigint>;

/** A property: whole and split give the same bits, on every device that should. */
export async function leavesSameBits(
  t: ExecutionContext,
  body: ConformanceBody,
  build: BuildLayout,
): Promise<void> {
  const devices = await distinctDevices(body);
  const property = fc.asyncProperty(layoutShapes, fc.nat(), async (shape, draws) => {
    let first: readonly Bits[] | undefined;
    for (const device of devices) {
      const { whole, split, same } = build(device, new Draw(draws), shape);
      await compute(device, whole);
      await compute(device, split);
      const results = same.map(([one]): Bits => device.read(one));
      first ??= results;
      same.forEach(([, other], i) => {
        const one = results[i] ?? [];
        sameBits(one, device.read(other), `result ${i} of ${device.info.name}, whole and split`);
        sameBits(one, first?.[i] ?? [], `result ${i} of ${device.info.name} and the first device`);
      });
    }
  });
  const seed = freshSeed();
  t.log(`seed ${seed}; ${devices.map(({ info }) => info.name).join('; ')}`);
  await fc.assert(property, { seed, numRuns: body.numRuns ?? DEFAULT_RUNS, includeErrorInReport: true });
  t.pass();
  await Promise.all(devices.map((device) => device.close()));
}

/** The body with one, two and three threads and its family; once where threads mean nothing to it. */
async function distinctDevices(body: ConformanceBody): Promise<readonly Device[]> {
  const opened = await Promise.all([
    ...[1, 2, 3].map((threads) => body.open({ threads })),
    ...(body.family ?? []).map((open) => open()),
  ]);
  const distinct = new Map(opened.map((device) => [device.info.name, device]));
  await Promise.all(
    opened.filter((device) => !new Set(distinct.values()).has(device)).map((each) => each.close()),
  );
  return [...distinct.values()];
}

function sameBits(one: Bits, other: Bits, what: string): void {
  const at = firstDifference(one, other);
  if (at !== -1) throw new RangeError(`${what}: element ${at} is ${one[at]} and ${other[at]}`);
}

/** Bit for bit: splits of calls, order, threads and repetition do not show. */
export function conformLayout(test: Test, body: ConformanceBody): void {
  if (!body.bitwise) return;

  for (const [name, build] of Object.entries(layoutCases)) {
    test(`${body.name} layout of ${name}: any split of the calls, any device, leaves the same bits`, async (t) => {
      await leavesSameBits(t, body, build);
    });
  }

  test(`${body.name} KER-1: a product is the chain of fused multiply-adds from its start`, async (t) => {
    const device = await body.open();
    if (!device.info.layoutFree) {
      t.log('not layout-free: KER-1 does not apply');
      t.pass();
      await device.close();
      return;
    }
    const shape = fc.record({
      rows: fc.integer({ min: 1, max: 60 }),
      inDim: fc.integer({ min: 1, max: 500 }),
      outDim: fc.integer({ min: 1, max: 50 }),
    });
    const property = fc.asyncProperty(shape, fc.nat(), async ({ rows, inDim, outDim }, seed) => {
      const draw = new Draw(seed);
      const [x, weight] = [draw.values(rows * inDim), draw.values(outDim * inDim)];
      const start = draw.values(rows * outDim);
      const out = device.floats(rows * outDim);
      const call: KernelCall = {
        op: 'linear.forward',
        rows,
        inDim,
        outDim,
        x: { data: floatsOf(device, x) },
        weight: floatsOf(device, weight),
        out: { data: out },
        residual: { data: floatsOf(device, start) },
      };
      await compute(device, [call]);
      const found = device.read(out);
      for (let i = 0; i < rows * outDim; i++) {
        const [m, n] = [Math.floor(i / outDim), i % outDim];
        let chain = start[i]!;
        for (let k = 0; k < inDim; k++) chain = fmaF32(x[m * inDim + k]!, weight[n * inDim + k]!, chain);
        if (!Object.is(chain, found[i]))
          throw new RangeError(`out[${m},${n}] is ${found[i]}, the chain gives ${chain}`);
      }
    });
    await fc.assert(property, { numRuns: 20, includeErrorInReport: true });
    await splitOfInputs(device, (difference) => t.is(difference, -1, 'a split of k'));
    await device.close();
  });

  test(`${body.name} exact sums: a leaf out of range raises the flag, which stays until reset`, async (t) => {
    const device = await body.open();
    const weightSum = { values: device.int64s(1), overflow: device.ints(1) };
    const leaf = async (value: number): Promise<number | undefined> => {
      const [dOut, x] = [floatsOf(device, [value]), floatsOf(device, [1])];
      const shape = {
        rows: 1,
        inDim: 1,
        outDim: 1,
        dOut: { data: dOut },
        x: { data: x },
        grainStarts: intsOf(device, [0, 1]),
      };
      await compute(device, [{ op: 'linear.backward.weight', ...shape, weightSum }]);
      return device.read(weightSum.overflow)[0];
    };
    t.is(await leaf(63.5), 0);
    t.is(device.read(weightSum.values)[0], 127n << 49n);
    t.is(await leaf(-63.5), 0);
    t.is(device.read(weightSum.values)[0], 0n);
    for (const bad of [64, -64, Number.NaN, Infinity]) {
      await compute(device, [{ op: 'sum.reset', sum: weightSum }]);
      t.is(await leaf(bad), 1, String(bad));
      t.is(await leaf(0.5), 1, `${bad}, then a good leaf`);
    }
    await device.close();
  });
}

/** KER-1: k in two calls, the second accumulating. */
async function splitOfInputs(device: Device, expectSame: (difference: number) => void): Promise<void> {
  const [rows, inDim, outDim, cut] = [19, 401, 23, 130];
  const draw = new Draw(7);
  const x = draw.floats(device, rows * inDim);
  const weight = draw.values(outDim * inDim);
  const [whole, split] = [device.floats(rows * outDim), device.floats(rows * outDim)];
  const columns = (from: number, to: number) =>
    floatsOf(
      device,
      Array.from(
        { length: outDim * (to - from) },
        (_, i) => weight[Math.floor(i / (to - from)) * inDim + from + (i % (to - from))]!,
      ),
    );
  const half = (from: number, to: number, accumulate: boolean): KernelCall => ({
    op: 'linear.forward',
    rows,
    inDim: to - from,
    outDim,
    weight: columns(from, to),
    out: { data: split },
    accumulate,
    x: { data: x, offset: from, stride: inDim },
  });
  await compute(device, [
    {
      op: 'linear.forward',
      rows,
      inDim,
      outDim,
      x: { data: x },
      weight: floatsOf(device, weight),
      out: { data: whole },
    },
    half(0, cut, false),
    half(cut, inDim, true),
  ]);
  expectSame(firstDifference(device.read(whole), device.read(split)));
}
