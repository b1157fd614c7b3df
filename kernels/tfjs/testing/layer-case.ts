import {
  type ExpertLayerBackwardCall,
  type ExpertsBackwardCall,
  type ExpertsForwardCall,
  type GradientTarget,
  type KernelCall,
  type SyncDevice,
  GRADIENT_QUANTUM_LOG2,
  onHost,
} from '@troupe/kernel-set';
import type { ExecutionContext } from 'ava';
import fc from 'fast-check';
import { F32_TOLERANCE } from '../../conformance/body.ts';
import { largestError } from '../../conformance/compare.ts';
import { intsBy, intsOf } from '../../conformance/device-values.ts';
import { Draw } from '../../conformance/draw.ts';
import { openReferenceDevice } from '../../reference/reference-device.ts';
import { openBackend, type TfjsBackendName } from '../backend.ts';
import { KernelRunner } from '../kernel-runner.ts';
import { builtTensorflowFolder } from '../tensorflow-environment.ts';
import { swiglu } from './layers.ts';

export interface LayerShape {
  readonly experts: number;
  readonly dim: number;
  readonly hidden: number;
  /** Rows of each (expert, grain) of each source, [sources][E·G]. */
  readonly counts: readonly (readonly number[])[];
  readonly numGrains: number;
  readonly isStored: boolean;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** The calls of the model's own FFN for a shape, both passes, and what they write. */
export function layerCase(device: SyncDevice, draw: Draw, shape: LayerShape) {
  const { experts, dim, hidden, counts, numGrains, isStored } = shape;
  const expertStride = 3 * hidden * dim + 5;
  const weights = draw.floats(device, experts * expertStride);
  const sources = counts.map((each) => {
    const rows = sum(each);
    // Two rows of a source stand for one token.
    const tokens = Math.ceil(rows / 2);
    const slots_N = intsBy(device, rows, (row) => row % Math.max(tokens, 1));
    return {
      x_UD: draw.floats(device, tokens * dim),
      slots_N,
      counts_EG: intsOf(device, each),
      numGrains,
      y_ND: device.floats(rows * dim),
      dOut_UD: draw.floats(device, tokens * dim),
      rowWeights_N: draw.floats(device, rows),
      dx_ND: device.floats(rows * dim),
    };
  });
  const overflow = device.ints(1);
  const length = experts * expertStride;
  const weightSum: GradientTarget = isStored
    ? { gradient: device.floats(length), overflow }
    : { values: device.int64s(length), overflow };
  const common = { experts, dim, hidden, activation: 'swiglu' as const, weights, expertStride, sources };
  const saved = device.floats(sum(counts.flat()) * 2 * hidden);
  const forward: ExpertsForwardCall = { op: 'experts.forward', ...common, saved };
  const backward: ExpertsBackwardCall = { op: 'experts.backward', ...common, saved, weightSum };
  const outputs = () => ({
    y: sources.map(({ y_ND }) => onHost(y_ND)),
    dx: sources.map(({ dx_ND }) => onHost(dx_ND)),
    gradient: [
      'gradient' in weightSum
        ? onHost(weightSum.gradient)
        : Float64Array.from(onHost(weightSum.values), (value) => Number(value) * 2 ** GRADIENT_QUANTUM_LOG2),
    ],
  });
  return { forward, backward, outputs, overflow };
}

export const layerShapes: fc.Arbitrary<LayerShape> = fc
  .record({
    experts: fc.integer({ min: 1, max: 4 }),
    dim: fc.integer({ min: 1, max: 17 }),
    hidden: fc.integer({ min: 1, max: 19 }),
    numSources: fc.integer({ min: 1, max: 3 }),
    numGrains: fc.integer({ min: 1, max: 3 }),
    isStored: fc.boolean(),
    toOne: fc.boolean(),
  })
  .chain(({ numSources, toOne, ...shape }) => {
    const cells = shape.experts * shape.numGrains;
    const count = fc.oneof(fc.constantFrom(0, 1), fc.integer({ min: 0, max: 9 }));
    return fc
      .array(fc.array(count, { minLength: cells, maxLength: cells }), {
        minLength: numSources,
        maxLength: numSources,
      })
      .map((counts) => ({
        ...shape,
        // All rows to one expert, the others without any.
        counts: toOne ? counts.map((each) => each.map((n, i) => (i < shape.numGrains ? n : 0))) : counts,
      }));
  });

export async function layerRunner(backend: TfjsBackendName) {
  const { tensors } = await openBackend({ backend, tensorflowFolder: builtTensorflowFolder() });
  const runner = new KernelRunner(tensors);
  const run = async (calls: readonly KernelCall[]) => {
    const onThread = onHost(calls);
    await runner.prepare(onThread);
    return runner.run(onThread).error;
  };
  return { tensors, run };
}

/** The model's FFN as a layer gives what `experts.forward` and `experts.backward` give, on one backend. */
export async function layerAgrees(t: ExecutionContext, backend: TfjsBackendName): Promise<void> {
  const { run, tensors } = await layerRunner(backend);
  const oracle = openReferenceDevice({ dtype: 'f64' });
  const storage = openReferenceDevice({ dtype: 'f32' });
  const largest: Record<string, number> = { y: 0, dx: 0, gradient: 0 };
  const before = tensors.memory();
  const property = fc.asyncProperty(layerShapes, fc.nat(), async (shape, seed) => {
    const expected = layerCase(oracle, new Draw(seed), shape);
    const found = layerCase(storage, new Draw(seed), shape);
    const failure = oracle.run([expected.forward, expected.backward]).error;
    if (failure !== null) throw failure;
    const backward: readonly ExpertLayerBackwardCall[] = swiglu.backward(found.backward);
    const error = await run([...swiglu.forward(found.forward), ...backward]);
    if (error !== null) throw error;
    for (const [name, arrays] of Object.entries(found.outputs())) {
      arrays.forEach((array, i) => {
        const wanted = expected.outputs()[name as 'y' | 'dx' | 'gradient'][i]!;
        const apart = largestError(array, wanted);
        if (apart > (name === 'y' ? F32_TOLERANCE.forward : F32_TOLERANCE.gradient))
          throw new RangeError(`${name}[${i}]: error ${apart}`);
        largest[name] = Math.max(largest[name] ?? 0, apart);
      });
    }
  });
  await fc.assert(property, { numRuns: 40, includeErrorInReport: true });
  t.log(
    Object.entries(largest)
      .map(([name, error]) => `${name} ${error.toExponential(1)}`)
      .join(', '),
  );
  t.deepEqual(tensors.memory(), before, 'no tensor is left');
}
