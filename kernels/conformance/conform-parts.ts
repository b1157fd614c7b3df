import type { Floats, KernelCall } from '@troupe/kernel-set';
import { compute, type ConformanceBody, type Test } from './body.ts';
import { floatsOf } from './device-values.ts';
import { Draw } from './draw.ts';

/** KER-9: a sum cut into segments, whoever holds which of them. */
export function conformParts(test: Test, body: ConformanceBody): void {
  test(`${body.name} KER-9: eight products in 1, 2, 4 and 8 segments have the sums that the tree gives`, async (t) => {
    const device = await body.open();
    const { layoutFree } = device.info;
    // 1 and seven times 2^-24: alone each of these is lost beside 1, together they are not.
    const terms = [1, ...Array.from({ length: 7 }, () => 2 ** -24)];
    const sums: number[] = [];
    for (const segments of [1, 2, 4, 8]) {
      const length = 8 / segments;
      const partials = Array.from({ length: segments }, () => device.floats(1));
      const out = device.floats(1);
      await compute(device, [
        ...partials.map((partial, segment): KernelCall => {
          const own = terms.slice(segment * length, (segment + 1) * length);
          return {
            op: 'linear.forward',
            rows: 1,
            inDim: length,
            outDim: 1,
            x: { data: floatsOf(device, own) },
            weight: floatsOf(
              device,
              own.map(() => 1),
            ),
            out: { data: partial },
          };
        }),
        { op: 'partials.add', parts: partials, out },
      ]);
      sums.push((device.read(out)[0]! - 1) * 2 ** 24);
    }
    if (layoutFree) t.deepEqual(sums, [0, 4, 6, 6]);
    else for (const sum of sums) t.true(Math.abs(sum) <= 8, `${sum}`);
    await device.close();
  });

  test(`${body.name} KER-9: a split product has the same bits for every number of ranks that divides its segments`, async (t) => {
    const device = await body.open();
    const [rows, inDim, outDim] = [13, 96, 21];
    const draw = new Draw(21);
    const [x, residual] = [draw.floats(device, rows * inDim), draw.floats(device, rows * outDim)];
    const weight = draw.values(outDim * inDim);
    const columns = (from: number, count: number): Floats =>
      floatsOf(
        device,
        Array.from(
          { length: outDim * count },
          (_, i) => weight[Math.floor(i / count) * inDim + from + (i % count)]!,
        ),
      );
    for (const segments of [2, 4, 8]) {
      const length = inDim / segments;
      const partials = Array.from({ length: segments }, () => device.floats(rows * outDim));
      await compute(
        device,
        partials.map((out, segment): KernelCall => {
          const from = segment * length;
          return {
            op: 'linear.forward',
            rows,
            inDim: length,
            outDim,
            x: { data: x, offset: from, stride: inDim },
            weight: columns(from, length),
            out: { data: out },
          };
        }),
      );
      let first: ArrayLike<number> | null = null;
      for (let ranks = 1; ranks <= segments; ranks *= 2) {
        const held = segments / ranks;
        const sums = Array.from({ length: ranks }, () => device.floats(rows * outDim));
        const out = device.floats(rows * outDim);
        await compute(device, [
          ...sums.map((sum, rank): KernelCall => ({
            op: 'partials.add',
            parts: partials.slice(rank * held, (rank + 1) * held),
            out: sum,
          })),
          { op: 'partials.add', parts: sums, base: residual, out },
        ]);
        const found = device.read(out).slice();
        first ??= found;
        t.deepEqual(found, first, `${segments} segments on ${ranks} ranks`);
      }
    }
    await device.close();
  });
}
