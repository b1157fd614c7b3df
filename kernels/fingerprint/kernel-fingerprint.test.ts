import test from 'ava';
import { withoutQueue, type Device, type KernelOp } from '@troupe/kernel-set';
import { nativeIsas, openNativeDevice } from '../native/native-device.ts';
import { openReferenceDevice } from '../reference/reference-device.ts';
import { operationCases } from '../conformance/operation-cases.ts';
import { productOps } from '../conformance/in-bf16.ts';
import { kernelFingerprint } from './kernel-fingerprint.ts';

/** A device whose `op` leaves one bit of one element otherwise. */
function inexact(device: Device, op: KernelOp): Device {
  return {
    ...withoutQueue(device),
    submit: (calls, done) =>
      device.submit(calls, (completion) => {
        const call = calls.at(-1);
        if (call?.op === op && 'out' in call && call.out !== undefined) {
          const out = 'data' in call.out ? call.out.data : call.out;
          const values = device.read<'f32'>(out as never);
          const bits = new Uint32Array(Float32Array.from(values).buffer);
          bits[0] = (bits[0] ?? 0) ^ 1;
          device.write<'f32'>(out as never, new Float32Array(bits.buffer));
        }
        done(completion);
      }),
  };
}

test('fingerprint: KFP-1, every operation is called, those with products in bf16 too', async (t) => {
  const { ops } = await kernelFingerprint(openReferenceDevice({ dtype: 'f32' }), 'bf16');
  const every = [...Object.keys(operationCases), ...productOps.map((op) => `${op} in bf16`)];
  t.deepEqual(Object.keys(ops).sort(), every.sort());
  t.is(new Set(Object.values(ops)).size, every.length, 'each has its own numbers');
});

test('fingerprint: KFP-1, one bit of one result gives another one, which names the operation', async (t) => {
  const device = openReferenceDevice({ dtype: 'f32' });
  const [right, again] = [await kernelFingerprint(device), await kernelFingerprint(device)];
  t.deepEqual(right, again);
  for (const op of ['norm.forward', 'linear.forward', 'adamw'] as const) {
    const wrong = await kernelFingerprint(inexact(device, op));
    t.not(wrong.value, right.value);
    t.deepEqual(
      Object.keys(right.ops).filter((each) => right.ops[each] !== wrong.ops[each]),
      [op],
    );
  }
});

test('fingerprint: KFP-1, instruction sets and threads of the native body have one value', async (t) => {
  const isas = nativeIsas();
  if (isas.length === 0) {
    t.log('there is no native body here');
    t.pass();
    return;
  }
  const values = new Set<string>();
  for (const isa of isas)
    for (const threads of [1, 3]) {
      const device = openNativeDevice({ isa, threads });
      values.add((await kernelFingerprint(device, 'bf16')).value);
      await device.close();
    }
  t.is(values.size, 1);
  const reference = await kernelFingerprint(openReferenceDevice({ dtype: 'f32' }), 'bf16');
  t.false(values.has(reference.value), 'another body is another machine');
});
