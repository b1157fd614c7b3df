import test from 'ava';
import { F32_TOLERANCE, submit } from '../conformance/body.ts';
import { conformKernels } from '../conformance/conform.ts';
import { openFarDevice } from './far-device.ts';

conformKernels(test, {
  name: 'far',
  open: () => openFarDevice({ dtype: 'f32' }),
  tolerance: F32_TOLERANCE,
  bitwise: true,
  bf16: true,
  longWork: 100e6,
  numRuns: 10,
});

test('far: an array shows its length and its parts, and nothing else', (t) => {
  const device = openFarDevice();
  const array = device.ints(4);
  const part = array.subarray(1, 3);
  t.is(part.length, 2);
  t.false(ArrayBuffer.isView(array));
  device.write(part, [5, 6]);
  t.deepEqual([...device.read(array)], [0, 5, 6, 0]);
  const reach = array as unknown as Int32Array;
  const reaches: Readonly<Record<string, () => unknown>> = {
    'an element': () => reach[0],
    'an element to write': () => (reach[0] = 1),
    'the buffer': () => reach.buffer,
    'a copy': () => reach.slice(),
    'an iterator': () => [...reach],
    'its members': () => Object.keys(reach),
    'its class': () => reach instanceof Int32Array,
    'a name': () => 'byteLength' in reach,
    'a promise': () => (reach as unknown as { then?: unknown }).then,
  };
  for (const [what, look] of Object.entries(reaches))
    t.throws(look, { code: 'TROUPE_INVARIANT', message: /only the device and its kernels/ }, what);
});

test('far: what is read is a copy, and what was brought in is no longer the caller’s', (t) => {
  const device = openFarDevice();
  const frame = Float64Array.of(1, 2);
  const array = device.upload(frame);
  frame[0] = 9;
  const seen = device.read(array);
  t.deepEqual([...seen], [1, 2]);
  seen[1] = 9;
  t.deepEqual([...device.read(array)], [1, 2]);
  device.zero(array);
  t.deepEqual([...device.read(array)], [0, 0]);
});

test('far: copies are counted, zeroing and kernels are none', async (t) => {
  const device = openFarDevice({ dtype: 'f32' });
  const array = device.upload(Float32Array.of(1, 2, 3));
  device.write(array, [4, 5]);
  t.deepEqual(device.writes, { count: 2, bytes: 12 + 8 });
  device.zero(array);
  await submit(device, [{ op: 'fill', out: array, kind: 'constant', scale: 2, key: [0, 0], firstIndex: 0 }]);
  t.deepEqual([...device.read(array)], [2, 2, 2]);
  t.deepEqual(device.reads, { count: 1, bytes: 12 });
  t.deepEqual(device.writes, { count: 2, bytes: 12 + 8 });
});

test('far: host memory in a kernel call is an error of its list, and another device’s array is a bug', async (t) => {
  const device = openFarDevice({ dtype: 'f32' });
  const out = device.floats(2);
  const from = new Float32Array(2) as unknown as typeof out;
  const { error } = await submit(device, [{ op: 'copy', from, out }]);
  t.is(error?.code, 'TROUPE_KERNEL_SHAPE');
  t.regex(error?.message ?? '', /copy\.from is memory of the host/);
  t.throws(() => openFarDevice().read(out), { code: 'TROUPE_INVARIANT' });
});

test('far: DEV-1, what a queued list names is not written, and its neighbours are', async (t) => {
  const device = openFarDevice({ dtype: 'f32' });
  const array = device.floats(4);
  const out = array.subarray(1, 3);
  const done = submit(device, [{ op: 'fill', out, kind: 'constant', scale: 2, key: [0, 0], firstIndex: 0 }]);
  const refused = { code: 'TROUPE_INVARIANT', message: /a queued list names/ };
  t.throws(() => device.write(array.subarray(2), [1]), refused);
  t.throws(() => device.zero(array), refused);
  device.write(array.subarray(3), [1]);
  await done;
  device.write(array, [5]);
  t.deepEqual([...device.read(array)], [5, 2, 2, 1]);
});
