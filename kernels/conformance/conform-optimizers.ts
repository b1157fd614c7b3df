import { muonWork, type KernelCall } from '@troupe/kernel-set';
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

  test(`${body.name} adafactor: two updates of a matrix, moments by row and column`, async (t) => {
    const device = await body.open();
    const [weights, out] = [device.floats(4), device.floats(4)];
    const [row, column, work] = [device.floats(2), device.floats(2), device.floats(4)];
    const common = { op: 'adafactor', rows: 2, columns: 2, weights, out, row, column, work } as const;
    const rates = { gradScale: 1, learningRate: 1, weightDecay: 0, relative: false };
    // With weights of 0 and a learning rate of 1, out is the step backwards.
    const steps = [
      {
        gradient: [1, 2, 3, 4],
        beta2: 0,
        rows: [2.5, 12.5],
        columns: [5, 10],
        step: [0.774597, 1.095445, 1.03923, 0.979796],
      },
      {
        gradient: [1, -2, 0, 4],
        beta2: 1 - 2 ** -0.8,
        rows: [2.5, 9.915429],
        columns: [2.415429, 10],
        step: [1.013908, -0.996611, 0, 1.000853],
      },
    ];
    for (const { gradient, beta2, ...wanted } of steps) {
      await compute(device, [{ ...common, ...rates, beta2, gradient: floatsOf(device, gradient) }]);
      t.true(largestError(device.read(row), wanted.rows, 0) <= MOST, device.read(row).join());
      t.true(largestError(device.read(column), wanted.columns, 0) <= MOST, device.read(column).join());
      const back = Array.from(device.read(out), (each) => -each);
      t.true(largestError(back, wanted.step, 0) <= MOST, back.join());
    }
    await device.close();
  });

  test(`${body.name} adafactor: a step is cut at a root mean square of 1, a relative one is of the size of its tensor`, async (t) => {
    const device = await body.open();
    const numbers = [3, -1, 2, 0.5];
    const update = async (more: { readonly relative: boolean; readonly weights: readonly number[] }) => {
      const weights = floatsOf(device, more.weights);
      const [out, row, work] = [device.floats(4), floatsOf(device, [0.1, 0.1, 0.1, 0.1]), device.floats(4)];
      const rates = {
        gradScale: 2,
        learningRate: 0.01,
        weightDecay: 0.5,
        beta2: 0.9,
        relative: more.relative,
      };
      const gradient = floatsOf(device, numbers);
      const shape = { op: 'adafactor', rows: 1, columns: 4 } as const;
      await compute(device, [{ ...shape, weights, out, row, work, gradient, ...rates }]);
      return Array.from(device.read(out));
    };
    const u = numbers.map((each) => (2 * each) / Math.sqrt(0.9 * 0.1 + 0.1 * 4 * each * each));
    const rms = (values: readonly number[]) => Math.hypot(...values) / Math.sqrt(values.length);
    t.true(rms(u) > 1);
    const expected = (weights: readonly number[], size: number) =>
      weights.map((each, index) => each * (1 - 0.01 * 0.5) - (0.01 * size * (u[index] ?? 0)) / rms(u));
    const large = [1, -2, 3, 4];
    const tiny = [1e-5, 0, 0, 0];
    for (const [weights, relative, size] of [
      [large, false, 1],
      [large, true, rms(large)],
      [tiny, true, 1e-3],
    ] as const) {
      const found = await update({ relative, weights });
      t.true(largestError(found, expected(weights, size), 0) <= 1e-5, found.join());
    }
    await device.close();
  });

  test(`${body.name} adafactor: rows and columns without gradients move nothing`, async (t) => {
    const device = await body.open();
    const weights = floatsOf(device, [1, 2, 3, 4]);
    const [row, column, work] = [device.floats(2), device.floats(2), device.floats(4)];
    const rates = { gradScale: 1, learningRate: 0.1, weightDecay: 0, beta2: 0, relative: false };
    const gradient = floatsOf(device, [1e-9, 0, 0, 0]);
    const shape = { op: 'adafactor', rows: 2, columns: 2 } as const;
    await compute(device, [{ ...shape, weights, out: weights, row, column, work, gradient, ...rates }]);
    const [first, ...others] = device.read(weights);
    t.true(first !== undefined && first < 1);
    t.deepEqual(others, [2, 3, 4]);
    await device.close();
  });

  test(`${body.name} muon: one update of a matrix of two rows, and of its transpose`, async (t) => {
    const wanted = [0.103737, 0.0994, 0.095063, 0.095897, 0.09699, 0.098083];
    for (const isTurned of [false, true]) {
      const device = await body.open();
      const [rows, columns] = isTurned ? [3, 2] : [2, 3];
      const [weights, m] = [floatsOf(device, Array(6).fill(0.1)), device.floats(6)];
      const turned = (values: readonly number[]) =>
        isTurned ? [0, 1, 2].flatMap((j) => [values[j]!, values[3 + j]!]) : values;
      const gradient = floatsOf(device, turned([1, 2, 3, 4, 5, 6]));
      const work = device.floats(muonWork(rows, columns));
      const rates = { gradScale: 1, learningRate: 0.02, weightDecay: 0.1, momentum: 0.95, nesterov: true };
      const call = { op: 'muon', rows, columns, weights, out: weights, m, gradient, work } as const;
      await compute(device, [{ ...call, ...rates, scale: 0.2 * Math.sqrt(3) }]);
      t.true(largestError(device.read(weights), turned(wanted), 0) <= 6e-6, device.read(weights).join());
      t.deepEqual([...device.read(m)], turned([1, 2, 3, 4, 5, 6]));
      await device.close();
    }
  });

  test(`${body.name} muon: singular values after five rounds`, async (t) => {
    const device = await body.open();
    const before = [1, 0.5, 0.2, 0.1, 0.05, 0.01, 0.001];
    const after = [0.69644, 0.76544, 0.74677, 0.71212, 0.75812, 0.69892, 0.47054];
    // A diagonal matrix has its singular values on the diagonal; one more of this size makes its norm that of the table.
    for (const [index, value] of before.entries()) {
      const rest = Math.sqrt(1 - value * value);
      const gradient = floatsOf(device, [value, 0, 0, rest]);
      const [weights, out, m, work] = [4, 4, 4, muonWork(2, 2)].map((length) => device.floats(length));
      if (!weights || !out || !m || !work) return;
      const rates = { gradScale: 1, learningRate: 1, weightDecay: 0, momentum: 0, nesterov: false, scale: 1 };
      await compute(device, [{ op: 'muon', rows: 2, columns: 2, weights, out, m, gradient, work, ...rates }]);
      t.true(Math.abs(-device.read(out)[0]! - after[index]!) <= 1e-4 * after[index]!, `${value}`);
    }
    await device.close();
  });

  test(`${body.name} muon: a matrix without gradients decays, and its momentum with it, without a step`, async (t) => {
    const device = await body.open();
    const [weights, m] = [floatsOf(device, [1, 2, 3, 4]), floatsOf(device, [1, -1, 2, 1])];
    const [gradient, work] = [device.int64s(4), device.floats(muonWork(2, 2))];
    const rates = {
      gradScale: 1,
      learningRate: 0.5,
      weightDecay: 0.5,
      momentum: 0.5,
      nesterov: true,
      scale: 1,
    };
    await compute(device, [
      { op: 'muon', rows: 2, columns: 2, weights, out: weights, m, gradient, work, ...rates },
    ]);
    t.deepEqual([...device.read(weights)], [0.75, 1.5, 2.25, 3]);
    t.deepEqual([...device.read(m)], [0.5, -0.5, 1, 0.5]);
    await device.close();
  });

  for (const [rows, columns] of [
    [70, 200],
    [200, 70],
    [1, 3000],
    [150, 150],
  ] as const)
    test(`${body.name} adafactor, muon: ${rows} × ${columns}, in place or not, on any threads: the same bits`, async (t) => {
      const found: ArrayLike<number>[][] = [];
      for (const threads of [1, 3]) {
        const device = await body.open({ threads });
        const length = rows * columns;
        const numbers = new Draw(17).values(length, 0.1);
        const filled = () => floatsOf(device, numbers);
        const rates = { gradScale: 0.7, learningRate: 0.01, weightDecay: 0.1 };
        const momentum = { momentum: 0.95, nesterov: true, scale: 2 };
        const moments = { beta2: 0.5, relative: true };
        for (const isInPlace of [true, false]) {
          const [weights, m, row] = [filled(), filled(), device.floats(rows)];
          const column = device.floats(columns);
          const common = { rows, columns, gradient: filled(), work: device.floats(muonWork(rows, columns)) };
          const muonOut = isInPlace ? weights : device.floats(length);
          const other = filled();
          const out = isInPlace ? other : device.floats(length);
          await compute(device, [
            { op: 'muon', ...common, ...rates, ...momentum, weights, out: muonOut, m },
            { op: 'adafactor', ...common, ...rates, ...moments, weights: other, out, row, column },
          ]);
          found.push([muonOut, m, out, row, column].map((each) => device.read(each).slice()));
        }
        await device.close();
      }
      for (const each of found)
        each.forEach((values, index) => t.is(firstDifference(values, found[0]![index]!), -1));
    });
}
