import { dtypeOf } from '@troupe/core';
import type { Completion, KernelCall } from '@troupe/kernel-set';
import { submit, type ConformanceBody, type Test } from './body.ts';
import { floatsOf } from './device-values.ts';

/** The queue: order, the free event loop, errors, close. */
export function conformQueue(test: Test, body: ConformanceBody): void {
  // Serial: other tests of the file would take the turns that are counted here.
  test.serial(
    `${body.name} queue: turns of the event loop pass between submission and completion`,
    async (t) => {
      const device = await body.open();
      const [rows, size] = [64, 128];
      const x = { data: device.floats(rows * size) };
      const weight = device.floats(size * size);
      const out = { data: device.floats(rows * size) };
      const call: KernelCall = { op: 'linear.forward', rows, inDim: size, outDim: size, x, weight, out };
      const numCalls = Math.ceil(body.longWork / (rows * size * size));
      let turns = 0;
      let done = false;
      const heartbeat = (): void => {
        turns += 1;
        if (!done) setImmediate(heartbeat);
      };
      setImmediate(heartbeat);
      const { error } = await submit(
        device,
        Array.from({ length: numCalls }, () => call),
      );
      done = true;
      t.is(error, null);
      t.log(`${turns} turns during ${numCalls} calls`);
      t.true(turns >= 5, `${turns} turns`);
      await device.close();
    },
  );

  test(`${body.name} queue: completions come later and in the order of submission, whatever fails`, async (t) => {
    const device = await body.open();
    const order: number[] = [];
    const wrong: KernelCall = { op: 'copy', from: device.floats(1), out: device.floats(2) };
    const array = device.floats(1);
    const increment: KernelCall = {
      op: 'linear.forward',
      rows: 1,
      inDim: 1,
      outDim: 1,
      x: { data: floatsOf(device, [1]) },
      weight: floatsOf(device, [1]),
      out: { data: array },
      accumulate: true,
    };
    const completions = Array.from({ length: 9 }, (_, i) => {
      const { promise, resolve } = withResolvers<Completion>();
      device.submit(i % 3 === 1 ? [wrong] : i % 3 === 2 ? [] : [increment, increment], (completion) => {
        order.push(i);
        resolve(completion);
      });
      return promise;
    });
    t.deepEqual(order, [], 'no completion inside submit');
    const results = await Promise.all(completions);
    t.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    t.deepEqual(
      results.map(({ error }) => error?.code ?? null),
      [0, 1, 2].flatMap(() => [null, 'TROUPE_KERNEL_SHAPE', null]),
    );
    t.true(results.every(({ kernelMs }) => kernelMs >= 0 && Number.isFinite(kernelMs)));
    t.is(device.read(array)[0], 6);
    await device.close();
  });

  test(`${body.name} queue: a submission from inside a completion runs`, async (t) => {
    const device = await body.open();
    const out = device.floats(1);
    const fill = (scale: number): KernelCall => ({
      op: 'fill',
      out,
      kind: 'constant',
      scale,
      key: [0, 0],
      firstIndex: 0,
    });
    const { promise, resolve } = withResolvers<Completion>();
    device.submit([fill(1)], () => device.submit([fill(2)], resolve));
    t.is((await promise).error, null);
    t.is(device.read(out)[0], 2);
    await device.close();
  });

  test(`${body.name} queue: close waits for the queue, and later submissions complete with an error`, async (t) => {
    const device = await body.open();
    const out = device.floats(4);
    let completed = 0;
    for (let i = 0; i < 5; i++) {
      device.submit(
        [{ op: 'fill', out, kind: 'constant', scale: i, key: [0, 0], firstIndex: 0 }],
        () => (completed += 1),
      );
    }
    await device.close();
    t.is(completed, 5);
    t.deepEqual([...device.read(out)], [4, 4, 4, 4]);
    let inside = true;
    const { error } = await new Promise<Completion>((resolve) => {
      device.submit([], (completion) => {
        t.false(inside, 'no completion inside submit');
        resolve(completion);
      });
      inside = false;
    });
    t.is(error?.code, 'TROUPE_KERNEL_FAILED');
    await device.close();
  });

  test(`${body.name} device: storage is zeroed and of the device's dtype`, async (t) => {
    const device = await body.open();
    const floats = device.floats(5);
    t.is(dtypeOf(device.read(floats)), device.info.dtype);
    t.deepEqual([...device.read(floats)], [0, 0, 0, 0, 0]);
    t.deepEqual([...device.read(device.ints(3))], [0, 0, 0]);
    t.deepEqual([...device.read(device.int64s(2))], [0n, 0n]);
    t.deepEqual([...device.read(device.bytes(2))], [0, 0]);
    t.is(device.floats(0).length, 0);
    t.true(device.info.reason.length > 0);
    t.log(`${device.info.name}: ${device.info.reason}`);
    await device.close();
  });
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((take) => (resolve = take));
  return { promise, resolve };
}
