import type { Device, KernelCall, KernelOp } from '@troupe/kernel-set';
import * as fc from 'fast-check';
import { bf16Bits, roundBf16 } from '../reference/bf16.ts';
import { openReferenceDevice } from '../reference/reference-device.ts';
import { compute, DEFAULT_RUNS, freshSeed, submit, type ConformanceBody, type Test } from './body.ts';
import { largestError } from './compare.ts';
import { leavesSameBits } from './conform-layout.ts';
import { floatsOf } from './device-values.ts';
import { Draw } from './draw.ts';
import { fmaFlushedF32 } from './fma.ts';
import { Bf16Calls, builtInBf16, productOps } from './in-bf16.ts';
import { layoutCases } from './layout-cases.ts';
import { operationCases } from './operation-cases.ts';
import { listed, operationErrors, type OutputError } from './operation-errors.ts';

/** KER-6: products in bf16 against the float64 reference, against the scalar chain, and against themselves cut up. */
export function conformBf16(test: Test, body: ConformanceBody): void {
  if (!body.bf16) {
    test(`${body.name} bf16: is refused with a typed error`, async (t) => {
      const device = await body.open();
      const out = device.floats(1);
      const { error } = await submit(device, [pairCall(device, [1], [2], out)]);
      t.is(error?.code, 'TROUPE_NOT_BUILT');
      t.is(device.read(out)[0], 0);
      await device.close();
    });
    return;
  }

  for (const op of productOps) {
    test(`${body.name} ${op} in bf16: agrees with the float64 reference`, async (t) => {
      const seed = freshSeed();
      t.log(`seed ${seed}: ${listed(await operationErrors(op, body, seed, 'bf16'))}`);
      t.log(`what rounding the operands costs: ${listed(await roundingErrors(op, seed, body.numRuns))}`);
      t.pass();
    });
  }

  test(`${body.name} bf16: storage that does not fit the precision is an error before anything runs`, async (t) => {
    const device = await body.open();
    const out = device.floats(1);
    const call = pairCall(device, [1], [1], out);
    const x = { data: device.halves(1) };
    const { precision: _, ...inF32 } = call;
    const group = {
      experts: 1,
      dim: 1,
      hidden: 1,
      activation: 'relu',
      weights: device.floats(2),
      expertStride: 2,
      sources: [],
    } as const;
    const wrong: readonly KernelCall[] = [
      { ...inF32, x },
      { ...call, precision: 'f32', x },
      { ...call, precision: 'f16' as 'bf16' },
      { op: 'experts.forward', ...group, saved: device.floats(4), precision: 'bf16' },
      { op: 'experts.forward', ...group, saved: device.halves(4) },
      { ...inF32, weight: device.halves(1) },
      { op: 'experts.forward', ...group, weights: device.halves(2) },
    ];
    for (const each of wrong) {
      const { error } = await submit(device, [call, each]);
      t.is(error?.code, 'TROUPE_KERNEL_SHAPE');
      t.is(device.read(out)[0], 0);
    }
    await device.close();
  });

  test(`${body.name} bf16: an activation in f32 is not one in bf16`, async (t) => {
    const device = await body.open();
    const out = device.floats(1);
    const call = pairCall(device, [1 + 2 ** -10], [1], out);
    await compute(device, [call]);
    t.is(device.read(out)[0], 1);
    const { precision: _, ...inF32 } = call;
    await compute(device, [inF32]);
    t.is(device.read(out)[0], 1 + 2 ** -10);
    await device.close();
  });

  test(`${body.name} norm.forward: bf16 storage holds the rounded f32 result`, async (t) => {
    const device = await body.open();
    const [rows, dim] = [7, 45];
    const draw = new Draw(3);
    const [out, halves] = [device.floats(rows * dim), device.halves(rows * dim)];
    const shape = { kind: 'rms', rows, groups: 1, dim, eps: 1e-5, stats: device.floats(rows) } as const;
    const x = { data: draw.floats(device, rows * dim) };
    const weight = draw.floats(device, dim);
    await compute(device, [
      { op: 'norm.forward', ...shape, x, weight, out: { data: out } },
      { op: 'norm.forward', ...shape, x, weight, out: { data: halves } },
    ]);
    t.deepEqual([...device.read(halves)], Array.from(device.read(out), bf16Bits));
    await device.close();
  });

  if (!body.bitwise) return;

  for (const name of ['linear', 'experts', 'head'] as const) {
    test(`${body.name} layout of ${name} in bf16: any split, any device and bf16 inputs leave the same bits`, async (t) => {
      await leavesSameBits(t, body, (device, draw, shape) => {
        const { whole, split, same } = layoutCases[name]!(device, draw, shape);
        const inBf16 = (calls: readonly KernelCall[], storeInputs: boolean) =>
          new Bf16Calls(device).of(calls, storeInputs);
        return { whole: inBf16(whole, false), split: inBf16(split, true), same };
      });
    });
  }

  test(`${body.name} KER-6: a product in bf16 is the chain of pairs, high element first`, async (t) => {
    const device = await body.open();
    if (!device.info.layoutFree) {
      t.log('not layout-free: KER-6 is approximated');
      t.pass();
      await device.close();
      return;
    }
    const shape = fc.record({
      rows: fc.integer({ min: 1, max: 40 }),
      inDim: fc.integer({ min: 1, max: 900 }),
      outDim: fc.integer({ min: 1, max: 40 }),
      // Products from ordinary down to denormal.
      scale: fc.constantFrom(1, 1e-12, 1e-19, 1e-20),
    });
    const property = fc.asyncProperty(shape, fc.nat(), async ({ rows, inDim, outDim, scale }, seed) => {
      const draw = new Draw(seed);
      const x = draw.values(rows * inDim, scale);
      const weight = draw.values(outDim * inDim, scale);
      const start = draw.values(rows * outDim, scale * scale);
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
        precision: 'bf16',
      };
      await compute(device, [call]);
      const found = device.read(out);
      for (let i = 0; i < rows * outDim; i++) {
        const [m, n] = [Math.floor(i / outDim), i % outDim];
        const at = (array: ArrayLike<number>, row: number, k: number): number =>
          k < inDim ? roundBf16(array[row * inDim + k]!) : 0;
        let chain = start[i]!;
        for (let k = 0; k < inDim; k += 2)
          for (const half of [k + 1, k]) chain = fmaFlushedF32(at(x, m, half), at(weight, n, half), chain);
        if (!Object.is(chain, found[i]))
          throw new RangeError(`out[${m},${n}] is ${found[i]}, the chain gives ${chain}`);
      }
    });
    await fc.assert(property, { numRuns: 20, includeErrorInReport: true });
    t.pass();
    await device.close();
  });
}

/** How far products in bf16 are from products in f32, both in float64. */
async function roundingErrors(
  op: KernelOp,
  seed: number,
  numRuns = DEFAULT_RUNS,
): Promise<readonly OutputError[]> {
  const oracle = openReferenceDevice({ dtype: 'f64' });
  const largest = new Map<string, OutputError>();
  const property = fc.asyncProperty(operationCases[op], fc.nat(), async (shaped, draws) => {
    const rounded = builtInBf16(oracle, shaped.build(oracle, new Draw(draws)), false);
    const plain = shaped.build(oracle, new Draw(draws));
    await compute(oracle, [...rounded.calls, ...plain.calls]);
    plain.outputs.forEach(({ name, kind, read }, i) => {
      const error = largestError(rounded.outputs[i]!.read(oracle), read(oracle));
      const label = name.replace(/ of source \d+$/, '');
      if (error >= (largest.get(label)?.error ?? 0)) largest.set(label, { name: label, kind, error });
    });
  });
  await fc.assert(property, { seed, numRuns });
  return [...largest.values()];
}

/** One row, one column: out = x·weight. */
function pairCall(
  device: Device,
  x: readonly number[],
  weight: readonly number[],
  out: ReturnType<Device['floats']>,
) {
  return {
    op: 'linear.forward',
    rows: 1,
    inDim: x.length,
    outDim: 1,
    x: { data: floatsOf(device, x) },
    weight: floatsOf(device, weight),
    out: { data: out },
    precision: 'bf16',
  } as const;
}
