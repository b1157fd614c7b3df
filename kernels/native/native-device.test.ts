import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import {
  asDeviceArray,
  onHost,
  type Completion,
  type ExactSum,
  type Floats,
  type KernelCall,
  type SyncDevice,
} from '@troupe/kernel-set';
import type { HostArray } from '@troupe/core';
import {
  type NativeIsa,
  measurePeak,
  nativeAvailability,
  nativeIsas,
  openNativeDevice,
} from './native-device.ts';

const { available, reason } = nativeAvailability();
const native = available ? test : test.skip;
if (!available)
  test('native device: says why it is absent', (t) => t.regex(reason, /install g\+\+ or clang\+\+/));

/** Deterministic values in (-1, 1). */
function draws(length: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state / 2 ** 31 - 1) * 0.7;
  });
}

const bits = new DataView(new ArrayBuffer(8));
/** a·b + c rounded once: the exact product in float64, the sum rounded to odd, then to float32. */
function fma(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  const part = sum - product;
  const error = product - (sum - part) + (c - part);
  if (error === 0) return Math.fround(sum);
  bits.setFloat64(0, sum);
  let word = bits.getBigInt64(0);
  if ((word & 1n) === 0n) word += error > 0 === sum > 0 ? 1n : -1n;
  bits.setBigInt64(0, word);
  return Math.fround(bits.getFloat64(0));
}

const floats = (length: number): Floats => asDeviceArray(new Float32Array(length));

const submitted = (device: SyncDevice, calls: readonly KernelCall[]): Promise<Completion> =>
  new Promise((resolve) => device.submit(calls, resolve));

const isas = nativeIsas();
const bodies: { isa: NativeIsa; threads: number }[] = isas.flatMap((isa) =>
  [1, 2, 3].map((threads) => ({ isa, threads })),
);

native(
  'native device: KER-1, a product is the FMA chain that starts from C, on every instruction set and number of threads',
  async (t) => {
    const [rows, inDim, outDim] = [37, 401, 45];
    const x = draws(rows * inDim, 1);
    const weight = draws(outDim * inDim, 2);
    const before = draws(rows * outDim, 3);
    const expected = Float32Array.from(before, (start, i) => {
      const [row, column] = [Math.floor(i / outDim), i % outDim];
      let sum = start;
      for (let k = 0; k < inDim; k++) sum = fma(x[row * inDim + k]!, weight[column * inDim + k]!, sum);
      return sum;
    });
    for (const body of bodies) {
      const device = openNativeDevice(body);
      const out = before.slice();
      const completion = await submitted(device, [
        {
          op: 'linear.forward',
          rows,
          inDim,
          outDim,
          x: { data: asDeviceArray(x) },
          weight: asDeviceArray(weight),
          out: { data: asDeviceArray(out) },
          accumulate: true,
        },
      ]);
      t.is(completion.error, null);
      t.deepEqual(out, expected, device.info.name);
      await device.close();
    }
  },
);

function expertCalls(device: SyncDevice): { calls: KernelCall[]; results: HostArray[] } {
  const [experts, dim, hidden, stride] = [4, 40, 24, 3 * 40 * 24 + 8];
  const counts_EG = Int32Array.of(90, 0, 1, 3, 0, 0, 17, 2);
  const numRows = counts_EG.reduce((a, b) => a + b, 0);
  const numTokens = 50;
  const slots_N = Int32Array.from({ length: numRows }, (_, i) => (i * 7) % numTokens);
  const weights = asDeviceArray(draws(experts * stride, 4));
  const weightSum: ExactSum = { values: device.int64s(experts * stride), overflow: device.ints(1) };
  const y_ND = device.floats(numRows * dim);
  const dx_ND = device.floats(numRows * dim);
  const saved = device.floats(numRows * 2 * hidden);
  const common = {
    experts,
    dim,
    hidden,
    activation: 'swiglu',
    weights,
    expertStride: stride,
    saved,
  } as const;
  const source = {
    x_UD: asDeviceArray(draws(numTokens * dim, 5)),
    slots_N: asDeviceArray(slots_N),
    counts_EG: asDeviceArray(counts_EG),
    numGrains: 2,
  };
  return {
    calls: [
      { op: 'experts.forward', ...common, sources: [{ ...source, y_ND }] },
      {
        op: 'experts.backward',
        ...common,
        sources: [
          {
            ...source,
            dOut_UD: asDeviceArray(draws(numTokens * dim, 6)),
            rowWeights_N: asDeviceArray(draws(numRows, 7)),
            dx_ND,
          },
        ],
        weightSum,
      },
    ],
    results: [y_ND, dx_ND, saved, weightSum.values].map((array) => onHost<typeof array>(array)),
  };
}

native(
  'native device: experts give the same bits on every instruction set and number of threads',
  async (t) => {
    let first: HostArray[] | undefined;
    for (const body of bodies) {
      const device = openNativeDevice(body);
      const { calls, results } = expertCalls(device);
      t.is((await submitted(device, calls)).error, null);
      t.true(
        results.every((array) => Array.from<number | bigint>(array).some((value) => Number(value) !== 0)),
      );
      first ??= results;
      t.deepEqual(results, first, device.info.name);
      await device.close();
    }
  },
);

native('native device: run gives the bits of submit, after what was submitted before', async (t) => {
  const device = openNativeDevice({ threads: 2 });
  const one = expertCalls(device);
  const other = expertCalls(device);
  const pending = submitted(device, one.calls);
  t.is(device.run(other.calls).error, null);
  t.deepEqual(other.results, one.results);
  await pending;
  await device.close();
});

native(
  'native device: completions come in the order of submission, also those of refused lists',
  async (t) => {
    const device = openNativeDevice({ threads: 2 });
    const order: number[] = [];
    const codes: (string | null)[] = [];
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const from = floats(i % 3 === 0 ? 7 : 8);
        const { error } = await submitted(device, [{ op: 'copy', from, out: floats(8) }]);
        order.push(i);
        codes.push(error?.code ?? null);
      }),
    );
    t.deepEqual(
      order,
      Array.from({ length: 20 }, (_, i) => i),
    );
    t.deepEqual(
      codes,
      Array.from({ length: 20 }, (_, i) => (i % 3 === 0 ? 'TROUPE_KERNEL_SHAPE' : null)),
    );
    await device.close();
  },
);

native(
  'native device: a shape error names operation, argument, found and expected, and nothing has run',
  async (t) => {
    const device = openNativeDevice({ threads: 1 });
    const out = floats(4);
    const completion = await submitted(device, [
      { op: 'fill', out, kind: 'constant', scale: 1, key: [0, 0], firstIndex: 0 },
      {
        op: 'linear.forward',
        rows: 2,
        inDim: 3,
        outDim: 2,
        x: { data: floats(5) },
        weight: floats(6),
        out: { data: floats(4) },
      },
    ]);
    t.is(completion.error?.code, 'TROUPE_KERNEL_SHAPE');
    t.regex(
      completion.error!.message,
      /linear\.forward \(call 1\) x: data is 5 elements, expected at least 6/,
    );
    t.deepEqual(onHost(out), new Float32Array(4));
    const wrongType = device.run([{ op: 'copy', from: asDeviceArray(new Float64Array(2)), out: floats(2) }]);
    t.regex(wrongType.error!.message, /copy \(call 0\): from is .*expected a Float32Array/);
    const wrongOp = device.run([{ op: 'nothing' } as unknown as KernelCall]);
    t.is(wrongOp.error?.code, 'TROUPE_KERNEL_SHAPE');
    await device.close();
  },
);

native('native device: contents out of range are TROUPE_KERNEL_RANGE', async (t) => {
  const device = openNativeDevice({ threads: 2 });
  const embed = device.run([
    {
      op: 'embed.forward',
      ids_T: asDeviceArray(Int32Array.of(0, 9)),
      table_VD: floats(12),
      out_TD: floats(8),
      dim: 4,
    },
  ]);
  t.is(embed.error?.code, 'TROUPE_KERNEL_RANGE');
  const sum: ExactSum = { values: device.int64s(4), overflow: device.ints(1) };
  const rows = { data: floats(6) };
  const grains = device.run([
    {
      op: 'linear.backward.weight',
      rows: 3,
      inDim: 2,
      outDim: 2,
      dOut: rows,
      x: rows,
      grainStarts: asDeviceArray(Int32Array.of(0, 2)),
      weightSum: sum,
    },
  ]);
  t.is(grains.error?.code, 'TROUPE_KERNEL_RANGE');
  const { calls } = expertCalls(device);
  const forward = calls[0]!;
  if (forward.op === 'experts.forward') onHost(forward.sources[0]!.slots_N!)[3] = 50;
  t.regex(device.run(calls).error!.message, /slots_N\[3\] is 50, expected 0 to 49/);
  await device.close();
});

native('native device: a closed device answers with an error and close may be called twice', async (t) => {
  const device = openNativeDevice({ threads: 2 });
  const last = submitted(device, expertCalls(device).calls);
  await device.close();
  t.is((await last).error, null);
  t.is((await submitted(device, [])).error?.code, 'TROUPE_KERNEL_FAILED');
  t.is(device.run([]).error?.code, 'TROUPE_KERNEL_FAILED');
  await device.close();
});

native('native device: arrays are zeroed and aligned, also empty ones', (t) => {
  const device = openNativeDevice({ threads: 1 });
  for (const length of [0, 1, 1000, 1 << 20]) {
    t.is(device.floats(length).length, length);
    t.is(device.int64s(length).length, length);
    t.true(onHost(device.floats(length)).every((x) => x === 0));
  }
});

native('native device: an open device does not keep the process alive, outstanding work does', (t) => {
  const module = fileURLToPath(new URL('native-device.js', import.meta.url));
  const script = `
    const { openNativeDevice } = await import(${JSON.stringify(module)});
    const device = openNativeDevice({ threads: 2 });
    const out = device.floats(1 << 22);
    device.submit([{ op: 'fill', out, kind: 'constant', scale: 3, key: [0, 0], firstIndex: 0 }], () => console.log(out[5]));`;
  t.is(
    execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 60_000,
    }),
    '3\n',
  );
});

native('measurePeak: gives a positive rate', (t) => {
  t.true(measurePeak(1) > 1e8);
  t.true(measurePeak(1, 'bf16') > 1e8);
});
