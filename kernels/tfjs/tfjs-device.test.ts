import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { asDeviceArray, onHost, type Completion, type Device, type KernelCall } from '@troupe/kernel-set';
import { openTfjsDevice, tfjsAvailability } from './tfjs-device.ts';

const submitted = (device: Device, calls: readonly KernelCall[]): Promise<Completion> =>
  new Promise((resolve) => device.submit(calls, resolve));

/** out[0] += x[0]. */
const add = (x: Float32Array, out: Float32Array): KernelCall => ({
  op: 'linear.forward',
  rows: 1,
  inDim: 1,
  outDim: 1,
  x: { data: asDeviceArray(x) },
  weight: asDeviceArray(Float32Array.of(1)),
  out: { data: asDeviceArray(out) },
  accumulate: true,
});

test('tfjs device: what is allocated is shared memory, visible to the thread without a copy', async (t) => {
  const device = await openTfjsDevice();
  for (const array of [device.floats(3), device.ints(3), device.int64s(3), device.bytes(3)])
    t.true(onHost<typeof array>(array).buffer instanceof SharedArrayBuffer);
  await device.close();
});

test('tfjs device: arrays that are not shared are copied in, and what is written comes back', async (t) => {
  const device = await openTfjsDevice();
  const frame = new ArrayBuffer(64);
  const before = new Uint8Array(frame).fill(7).slice();
  const x = new Float32Array(frame, 4, 2);
  x.set([1, 2]);
  const out = new Float32Array(frame, 24, 2);
  out.set([10, 20]);
  const call: KernelCall = { op: 'copy', from: asDeviceArray(x), out: asDeviceArray(out) };
  t.is((await submitted(device, [call, add(x, out)])).error, null);
  t.deepEqual([...out], [2, 2]);
  const bytes = new Uint8Array(frame);
  t.deepEqual(
    [...bytes.subarray(12, 24)],
    [...before.subarray(12, 24)],
    'bytes between the views are left alone',
  );
  t.deepEqual([...bytes.subarray(32)], [...before.subarray(32)]);
  await device.close();
});

test('tfjs device: views of one private buffer that overlap are one memory to the list', async (t) => {
  const device = await openTfjsDevice();
  const arena = Float32Array.of(1, 2, 3);
  const [left, right] = [arena.subarray(0, 2), arena.subarray(1, 3)];
  const shift: KernelCall = {
    op: 'gather',
    rows: 1,
    dim: 2,
    x: asDeviceArray(right),
    index: asDeviceArray(Int32Array.of(0)),
    out: asDeviceArray(left),
  };
  t.is((await submitted(device, [shift, add(left.subarray(1), right.subarray(1))])).error, null);
  t.deepEqual([...arena], [2, 3, 6]);
  await device.close();
});

test('tfjs device: a list waits for the private array that an earlier list writes', async (t) => {
  const device = await openTfjsDevice();
  const [one, total] = [Float32Array.of(1), Float32Array.of(0)];
  const copy = device.floats(1);
  const completions = Array.from({ length: 20 }, () => submitted(device, [add(one, total)]));
  completions.push(submitted(device, [{ op: 'copy', from: asDeviceArray(total), out: copy }]));
  for (const { error } of await Promise.all(completions)) t.is(error, null);
  t.is(total[0], 20);
  t.is(onHost(copy)[0], 20);
  await device.close();
});

test('tfjs device: a list that cannot be sent is refused in its turn', async (t) => {
  const device = await openTfjsDevice();
  const out = device.floats(1);
  const good: KernelCall = { op: 'fill', out, kind: 'constant', scale: 1, key: [0, 0], firstIndex: 0 };
  const bad = { ...good, scale: () => 1 } as unknown as KernelCall;
  const order: string[] = [];
  await Promise.all(
    [good, bad, good].map(async (call) =>
      order.push((await submitted(device, [call])).error?.code ?? 'done'),
    ),
  );
  t.deepEqual(order, ['done', 'TROUPE_KERNEL_SHAPE', 'done']);
  await device.close();
});

test('tfjs device: a closed device answers with an error and close may be called twice', async (t) => {
  const device = await openTfjsDevice();
  const last = submitted(device, [add(Float32Array.of(1), Float32Array.of(1))]);
  await Promise.all([device.close(), device.close()]);
  t.is((await last).error, null);
  t.is((await submitted(device, [])).error?.code, 'TROUPE_KERNEL_FAILED');
  await device.close();
});

test('tfjs device: info says which backend and why', async (t) => {
  const wasm = await openTfjsDevice({ threads: 2, backend: 'wasm' });
  t.regex(wasm.info.name, /^tfjs wasm/);
  t.regex(wasm.info.reason, /WebAssembly.*of 2 threads asked for it uses 1/);
  t.is(wasm.info.threads, 1);
  t.false(wasm.info.layoutFree);
  await wasm.close();
  const cpu = await openTfjsDevice({ backend: 'cpu' });
  t.is(cpu.info.name, 'tfjs cpu');
  t.regex(
    cpu.info.reason,
    /^plain JavaScript runs everywhere, about 100 times slower .*; asked for by name$/,
  );
  await cpu.close();
});

test('tfjs availability: TensorFlow.js comes with the install', async (t) => {
  t.deepEqual(await tfjsAvailability(), { available: true, reason: 'TensorFlow.js is installed' });
});

const module = JSON.stringify(fileURLToPath(new URL('tfjs-device.js', import.meta.url)));
const runScript = (script: string): string =>
  execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 60_000,
  });

test('tfjs device: outstanding work keeps the process alive, an idle device does not', (t) => {
  const printed = runScript(`
    const { openTfjsDevice } = await import(${module});
    const device = await openTfjsDevice();
    const out = device.floats(1 << 20);
    device.submit([{ op: 'fill', out, kind: 'normal', scale: 1, key: [0, 0], firstIndex: 0 }], () => console.log(out[5] !== 0));`);
  t.is(printed, 'true\n');
});

test('tfjs device: nothing is printed by the library', (t) => {
  const printed = runScript(`
    console.warn = console.info = console.error = console.log;
    const { openTfjsDevice } = await import(${module});
    for (const backend of ['auto', 'wasm', 'cpu']) await (await openTfjsDevice({ backend })).close();`);
  t.is(printed, '');
});
