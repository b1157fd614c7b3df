import test from 'ava';
import { firstAt, sampleEfficiency, smoothedCurve, type LossCurve } from './loss-curve.ts';

/** A point every 10 updates of 100 tokens and `flops` FLOPs each. */
const curve = (name: string, flops: number | null, ...losses: readonly number[]): LossCurve => ({
  name,
  points: losses.map((loss, index) => {
    const updates = 10 * (index + 1);
    return { updates, tokens: 100 * updates, flops: flops === null ? null : flops * updates, loss };
  }),
});

test('firstAt: the first place as low as a loss, on the line between two points', (t) => {
  const run = curve('run', 2, 5, 4, 3, 3.5, 2);
  t.deepEqual(firstAt(run, 3.75), { updates: 23, tokens: 2250, flops: 45, loss: 3.75 });
  t.is(firstAt(run, 4)?.updates, 20);
  t.is(firstAt(run, 6)?.updates, 10, 'at its first point it is lower already');
  t.is(firstAt(run, 3.2)?.updates, 28, 'the first time, not the last');
  t.is(firstAt(run, 1.9), null);
  t.is(firstAt(curve('run', null, 5, 4), 4.5)?.flops, null);
});

test('smoothedCurve: means of so many losses, fewer at the start', (t) => {
  const losses = (window: number): number[] =>
    smoothedCurve(curve('run', 1, 6, 4, 2, 6), window).points.map(({ loss }) => loss);
  t.deepEqual(losses(2), [6, 5, 3, 4]);
  t.deepEqual(losses(1), [6, 4, 2, 6]);
  t.deepEqual(losses(99), [6, 5, 4, 4.5]);
  t.throws(() => losses(0), { message: /a mean of at least one loss/ });
});

test('sampleEfficiency: every run against the end of every other', (t) => {
  const found = sampleEfficiency([curve('moe', 1, 5, 3, 2, 1), curve('dense', 1, 5, 4, 3.5, 3)]);
  t.deepEqual(
    found.map(({ name, target, loss, at, share }) => [name, target, loss, at?.updates, share]),
    [
      ['moe', 'moe', 1, 40, 1],
      ['moe', 'dense', 3, 20, 0.5],
      ['dense', 'moe', 1, undefined, null],
      ['dense', 'dense', 3, 40, 1],
    ],
  );
  t.throws(() => sampleEfficiency([curve('none', 1)]), { message: /a curve has a point/ });
});
