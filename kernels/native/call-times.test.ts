import test from 'ava';
import { onHost, type Completion, type Floats, type KernelCall, type SyncDevice } from '@troupe/kernel-set';
import { floatsOf, intsOf } from '../conformance/device-values.ts';
import { nativeAvailability, openNativeDevice } from './native-device.ts';

const native = nativeAvailability().available ? test : test.skip;

const submitted = (device: SyncDevice, calls: readonly KernelCall[]): Promise<Completion> =>
  new Promise((resolve) => device.submit(calls, resolve));

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Large enough that every thread takes items. */
function product(device: SyncDevice): { readonly call: KernelCall; readonly out: Floats } {
  const [rows, dim] = [512, 256];
  const out = device.floats(rows * dim);
  const x = { data: floatsOf(device, new Float32Array(rows * dim).fill(0.25)) };
  const weight = floatsOf(device, new Float32Array(dim * dim).fill(0.5));
  return {
    call: { op: 'linear.forward', rows, inDim: dim, outDim: dim, x, weight, out: { data: out } },
    out,
  };
}

const THREADS = 2;
const PER_CALL = 2 + 3 * THREADS;

native(
  'call times: calls follow one another inside the submission, threads lie inside their call',
  async (t) => {
    const device = openNativeDevice({ threads: THREADS });
    device.timeCalls?.(true);
    const { call } = product(device);
    const before = monotonicMs();
    const { callTimes, kernelMs } = await submitted(device, [call, call, call]);
    const after = monotonicMs();
    t.is(callTimes?.length, 3 * PER_CALL);
    let end = before;
    let sum = 0;
    for (let at = 0; at < 3 * PER_CALL; at += PER_CALL) {
      const [callStart = NaN, callEnd = NaN, ...threads] = callTimes?.subarray(at, at + PER_CALL) ?? [];
      t.true(
        callStart >= end && callEnd >= callStart && callEnd <= after,
        [before, callStart, callEnd, after].join(' '),
      );
      [end, sum] = [callEnd, sum + callEnd - callStart];
      for (let thread = 0; thread < THREADS; thread++) {
        const [first = NaN, last = NaN, busy = NaN] = threads.slice(3 * thread);
        if (first === 0) t.deepEqual([last, busy], [0, 0]);
        else t.true(first >= callStart && last <= callEnd && busy > 0 && busy <= last - first + 1e-6);
      }
      t.true((threads[2] ?? 0) + (threads[5] ?? 0) > 0, 'some thread did the work');
    }
    t.true(sum <= kernelMs + 1e-3, `${sum} of ${kernelMs} ms`);
    await device.close();
  },
);

native('call times: they come only while they are asked for and change no bit', async (t) => {
  const device = openNativeDevice({ threads: THREADS });
  const { call, out } = product(device);
  t.is((await submitted(device, [call])).callTimes, undefined);
  const expected = onHost(out).slice();
  device.timeCalls?.(true);
  device.zero(out);
  t.not((await submitted(device, [call])).callTimes, undefined);
  t.deepEqual(onHost(out), expected);
  device.timeCalls?.(false);
  t.is((await submitted(device, [call])).callTimes, undefined);
  await device.close();
});

native('call times: a list that fails brings the times of the calls that ran', async (t) => {
  const device = openNativeDevice({ threads: THREADS });
  device.timeCalls?.(true);
  const { call } = product(device);
  const ids_T = intsOf(device, [9]);
  const wrong: KernelCall = {
    op: 'embed.forward',
    ids_T,
    table_VD: device.floats(4),
    out_TD: device.floats(4),
    dim: 4,
  };
  const { error, callTimes } = await submitted(device, [call, wrong, call]);
  t.is(error?.code, 'TROUPE_KERNEL_RANGE');
  t.is(callTimes?.length, PER_CALL);
  t.is((await submitted(device, [])).callTimes?.length, 0);
  await device.close();
});
