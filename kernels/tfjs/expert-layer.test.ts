import test from 'ava';
import { onHost, type ExpertLayerCall, type KernelCall } from '@troupe/kernel-set';
import fc from 'fast-check';
import { largestError } from '../conformance/compare.ts';
import { floatsOf, intsOf } from '../conformance/device-values.ts';
import { Draw } from '../conformance/draw.ts';
import { openNativeDevice, nativeAvailability } from '../native/native-device.ts';
import { openReferenceDevice } from '../reference/reference-device.ts';
import { openTfjsDevice } from './tfjs-device.ts';
import { layerAgrees, layerCase, layerRunner, layerShapes, type LayerShape } from './testing/layer-case.ts';
import { broken, forgetful, swiglu, transposed } from './testing/layers.ts';

const { run } = await layerRunner('wasm');
const storage = openReferenceDevice({ dtype: 'f32' });
const small: LayerShape = {
  experts: 2,
  dim: 3,
  hidden: 4,
  counts: [[2, 1, 3, 0]],
  numGrains: 2,
  isStored: false,
};

test.serial('expert layer: the model’s FFN as a layer agrees with the reference on wasm', (t) =>
  layerAgrees(t, 'wasm'),
);

test.serial(
  'expert layer: the same bits wherever the rows of a grain are, one source or one for each grain',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(layerShapes, fc.nat(), async (shape, seed) => {
        const counts = shape.counts.slice(0, 1);
        const together = layerCase(storage, new Draw(seed), { ...shape, counts, isStored: false });
        const { sources } = together.backward;
        const source = sources[0]!;
        /** The rows of one grain as a source of their own. */
        const apart = Array.from({ length: shape.numGrains }, (_, grain) => {
          const rows: number[] = [];
          let row = 0;
          onHost(source.counts_EG).forEach((count, cell) => {
            for (let i = 0; i < count; i++, row++) if (cell % shape.numGrains === grain) rows.push(row);
          });
          const of = (array: ArrayLike<number>) => rows.map((each) => array[each]!);
          const { dim } = shape;
          return {
            rows,
            source: {
              ...source,
              slots_N: intsOf(storage, of(onHost(source.slots_N!))),
              counts_EG: intsOf(
                storage,
                onHost(source.counts_EG).filter((_count, cell) => cell % shape.numGrains === grain),
              ),
              numGrains: 1,
              y_ND: storage.floats(rows.length * dim),
              rowWeights_N: floatsOf(storage, of(onHost(source.rowWeights_N!))),
              dx_ND: storage.floats(rows.length * dim),
            },
          };
        });
        const length = together.forward.weights.length;
        const weightSum = { values: storage.int64s(length), overflow: storage.ints(1) };
        const separate = { ...together.backward, sources: apart.map((each) => each.source), weightSum };
        t.is(await run([...swiglu.forward(together.forward), ...swiglu.backward(together.backward)]), null);
        t.is(
          await run([
            ...swiglu.forward({ ...together.forward, sources: separate.sources }),
            ...swiglu.backward(separate),
          ]),
          null,
        );
        const target = together.backward.weightSum;
        t.deepEqual(onHost(weightSum.values), 'values' in target ? onHost(target.values) : null);
        for (const { rows, source: own } of apart) {
          rows.forEach((row, i) => {
            for (const [name, from] of [
              ['y_ND', together.forward.sources[0]!.y_ND],
              ['dx_ND', source.dx_ND],
            ] as const)
              t.deepEqual(
                onHost(own[name].subarray(i * shape.dim, (i + 1) * shape.dim)),
                onHost(from.subarray(row * shape.dim, (row + 1) * shape.dim)),
              );
          });
        }
      }),
      { numRuns: 25 },
    );
  },
);

test.serial('expert layer: NaN in a row reaches its output and the overflow flag', async (t) => {
  const { forward, backward, overflow } = layerCase(storage, new Draw(1), small);
  onHost(backward.sources[0]!.x_UD)[0] = Number.NaN;
  t.is(await run([...swiglu.forward(forward), ...swiglu.backward(backward)]), null);
  t.true(Number.isNaN(onHost(forward.sources[0]!.y_ND)[0]));
  t.is(onHost(overflow)[0], 1);
});

test.serial('expert layer: what is wrong with a layer is a typed error that names it', async (t) => {
  const { forward, backward } = layerCase(storage, new Draw(1), small);
  const failure = async (calls: readonly KernelCall[]): Promise<string> => {
    const error = await run(calls);
    return `${error?.code}: ${error?.message}`;
  };
  t.regex(
    await failure(transposed.forward(forward)),
    /^TROUPE_KERNEL_SHAPE: .*'transposed' gives 3×\d, expected \d×3/,
  );
  t.regex(await failure(broken.forward(forward)), /^TROUPE_KERNEL_FAILED: expert-layer\.forward: planted/);
  t.regex(await failure(forgetful.backward(backward)), /^TROUPE_KERNEL_FAILED: .*with respect to/);
  const [call] = swiglu.forward(forward) as [ExpertLayerCall];
  const other = { ...call, layer: { ...call.layer, name: 'nobody' } } as ExpertLayerCall;
  t.regex(
    await failure([other]),
    /^TROUPE_KERNEL_FAILED: the layer 'nobody' of file:.*exports no expert of that name/,
  );
  const gone = { ...call, layer: { ...call.layer, module: 'file:///no/such/module.js' } } as ExpertLayerCall;
  t.regex(await failure([gone]), /^TROUPE_KERNEL_FAILED: .*Cannot find module/);
  const short = { ...call, expertStride: 7 } as ExpertLayerCall;
  t.regex(await failure([short]), /^TROUPE_KERNEL_SHAPE: .*expertStride is 7, expected an integer ≥ 36/);
  t.is(await run([call]), null, 'the next list runs');
});

test.serial('expert layer: other bodies refuse it', async (t) => {
  const { forward } = layerCase(storage, new Draw(1), small);
  const [call] = swiglu.forward(forward);
  t.is(openReferenceDevice({ dtype: 'f32' }).run([call!]).error?.code, 'TROUPE_KERNEL_SHAPE');
  if (!nativeAvailability().available) return;
  const native = openNativeDevice({ threads: 1 });
  const error = await new Promise<string | undefined>((resolve) =>
    native.submit([call!], (completion) => resolve(completion.error?.code)),
  );
  t.is(error, 'TROUPE_KERNEL_SHAPE');
  await native.close();
});

test.serial(
  'expert layer: a device loads it in its thread, and lists keep their order meanwhile',
  async (t) => {
    const device = await openTfjsDevice({ backend: 'wasm' });
    const { forward, outputs } = layerCase(storage, new Draw(1), small);
    const oracle = openReferenceDevice({ dtype: 'f64' });
    const expected = layerCase(oracle, new Draw(1), small);
    oracle.run([expected.forward]);
    const order: number[] = [];
    const submitted = (index: number, calls: readonly KernelCall[]) =>
      new Promise<void>((resolve) =>
        device.submit(calls, ({ error }) => {
          t.is(error, null);
          order.push(index);
          resolve();
        }),
      );
    await Promise.all([
      submitted(0, swiglu.forward(forward)),
      submitted(1, []),
      submitted(2, swiglu.forward(forward)),
    ]);
    t.deepEqual(order, [0, 1, 2]);
    outputs().y.forEach((y, i) => t.true(largestError(y, expected.outputs().y[i]!) < 1e-5));
    await device.close();
  },
);
