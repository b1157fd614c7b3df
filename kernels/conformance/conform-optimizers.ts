import type { KernelCall } from '@troupe/kernel-set';
import { compute, type ConformanceBody, type Test } from './body.ts';
import { firstDifference, largestError } from './compare.ts';
import { floatsOf } from './device-values.ts';
import { Draw } from './draw.ts';

/** Updates worked out by hand, step after step; differences of f32 alone. */
const MOST = 2e-6;

/** Updates of parameters beside AdamW: numbers worked out by hand, and the same bits on any number of threads, in place or not. */
export function conformOptimizers(test: Test, body: ConformanceBody): void {
  const sgdSteps = [
    { nesterov: false, expected: [0.949, 0.853051, 0.716698] },
    { nesterov: true, expected: [0.904, 0.767596, 0.594878] },
  ];
  for (const { nesterov, expected } of sgdSteps)
    test(`${body.name} sgd: three steps of one weight, ${nesterov ? 'Nesterov' : 'plain'}`, async (t) => {
      const device = await body.open();
      const [weights, v] = [floatsOf(device, [1]), device.floats(1)];
      const gradient = floatsOf(device, [0.5]);
      const rates = { gradScale: 1, learningRate: 0.1, weightDecay: 0.01, momentum: 0.9, nesterov };
      for (const wanted of expected) {
        await compute(device, [{ op: 'sgd', weights, out: weights, v, gradient, ...rates }]);
        t.true(largestError(device.read(weights), [wanted], 0) <= MOST, `${device.read(weights)[0]}`);
      }
      await device.close();
    });

  test(`${body.name} sgd: in place or not, of a sum or a stored gradient, on any threads, it has the same bits`, async (t) => {
    const found: (readonly [ArrayLike<number>, ArrayLike<number>])[] = [];
    for (const threads of [1, 3]) {
      const device = await body.open({ threads });
      const length = 70_001;
      const numbers = new Draw(13).values(length, 0.1);
      const filled = () => floatsOf(device, numbers);
      const rates = { gradScale: 0.7, learningRate: 0.01, weightDecay: 0.1, momentum: 0.9, nesterov: true };
      const step = (weights = filled(), out = weights, v = filled()): KernelCall & { op: 'sgd' } => ({
        op: 'sgd',
        weights,
        out,
        v,
        gradient: filled(),
        ...rates,
      });
      const [inPlace, apart] = [step(), step(filled(), device.floats(length))];
      await compute(device, [inPlace, apart]);
      for (const { out, v } of [inPlace, apart])
        found.push([device.read(out).slice(), device.read(v).slice()]);
      await device.close();
    }
    for (const [out, v] of found) {
      t.is(firstDifference(out, found[0]![0]), -1);
      t.is(firstDifference(v, found[0]![1]), -1);
    }
  });
}
