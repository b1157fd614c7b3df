import type { Device } from '@troupe/kernel-set';
import { compute, type ConformanceBody, type Test } from './body.ts';
import { bytesOf, floatsOf, intsOf } from './device-values.ts';

/** A bias after a step of 0.001 that follows these choices of four experts. */
async function stepped(device: Device, choices: readonly number[], valid?: readonly number[]) {
  const sum = { values: device.int64s(4), overflow: device.ints(1), begin: true };
  const bias = floatsOf(device, [0.5, 0.5, 0.5, 0.5]);
  const out = device.floats(4);
  await compute(device, [
    {
      op: 'bias.count',
      tokens: choices.length,
      experts: 4,
      topK: 1,
      choices_TK: intsOf(device, choices),
      ...(valid === undefined ? {} : { valid_T: bytesOf(device, valid) }),
      sum,
    },
    { op: 'bias.step', bias, out, sum: sum.values, rate: 0.001 },
  ]);
  return {
    due: Array.from(device.read(sum.values), Number),
    signs: Array.from(device.read(out), (each) => Math.sign(each - 0.5)),
  };
}

/** Loss-free balancing: exact counts, and steps of one size. */
export function conformBias(test: Test, body: ConformanceBody): void {
  test(`${body.name} bias.step: experts over the mean go down, those under it up, and at the mean none moves`, async (t) => {
    const device = await body.open();
    // 8 tokens, counts 3, 2, 1, 2: due is 8 - 4·count.
    t.deepEqual(await stepped(device, [0, 0, 0, 1, 1, 2, 3, 3]), {
      due: [-4, 0, 4, 0],
      signs: [-1, 0, 1, 0],
    });
    t.deepEqual(await stepped(device, [1, 1, 1]), { due: [3, -9, 3, 3], signs: [1, -1, 1, 1] }, 'all to one');
    t.deepEqual(
      await stepped(device, [-1, -1], [0, 0]),
      { due: [0, 0, 0, 0], signs: [0, 0, 0, 0] },
      'no valid token',
    );
    await device.close();
  });

  test(`${body.name} bias.step: a thousand steps of 0.001 are added in f32`, async (t) => {
    const device = await body.open();
    const bias = device.floats(1);
    const sum = device.int64s(1);
    device.write(sum, BigInt64Array.of(5n));
    for (let i = 0; i < 1000; i++)
      await compute(device, [{ op: 'bias.step', bias, out: bias, sum, rate: 0.001 }]);
    const [found = 0] = device.read(bias);
    t.is(found.toFixed(7), '0.9999907');
    await device.close();
  });
}
