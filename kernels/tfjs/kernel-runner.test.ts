import test from 'ava';
import { GRADIENT_QUANTUM_LOG2, onHost, type Device, type Floats, type KernelCall } from '@troupe/kernel-set';
import { largestError } from '../conformance/compare.ts';
import { intsBy, intsOf } from '../conformance/device-values.ts';
import { Draw } from '../conformance/draw.ts';
import { openReferenceDevice } from '../reference/reference-device.ts';
import { openBackend } from './backend.ts';
import { KernelRunner } from './kernel-runner.ts';
import { leavesNothing } from './testing/leaks.ts';

const { tensors } = await openBackend({ backend: 'wasm', tensorflowFolder: '' });
const runner = new KernelRunner(tensors);
const storage = openReferenceDevice({ dtype: 'f32' });
const oracle = openReferenceDevice({ dtype: 'f64' });

/** The same call built for both, run by both; the results of one output. */
function both(build: (device: Device, draw: Draw) => { call: KernelCall; out: Floats[] }): {
  found: ArrayLike<number>[];
  expected: ArrayLike<number>[];
} {
  const [mine, reference] = [build(storage, new Draw(1)), build(oracle, new Draw(1))];
  const { error } = runner.run([onHost(mine.call)]);
  if (error !== null) throw error;
  oracle.run([reference.call]);
  return { found: mine.out.map(onHost<Floats>), expected: reference.out.map(onHost<Floats>) };
}

test('kernel runner: 200 steps of every operation leave no tensor behind', (t) => leavesNothing(t, 'wasm'));

test('tensors: a scope that fails in the middle leaves no tensor behind', (t) => {
  const before = tensors.memory().numTensors;
  const fail = (): void => {
    tensors.matrix(2, 2, (elements) => elements.fill(1));
    t.is(tensors.memory().numTensors, before + 1);
    throw new TypeError('planted');
  };
  t.throws(() => tensors.scope(fail), { message: 'planted' });
  t.is(tensors.memory().numTensors, before);
});

test('attention: sequences longer than a block of query rows agree with the reference', (t) => {
  const [seqLen, heads, headDim] = [300, 2, 8];
  const common = (device: Device, draw: Draw) => ({
    batch: 2,
    seqLen,
    heads,
    kvHeads: 1,
    headDim,
    scale: 0.4,
    q: { data: draw.floats(device, 2 * seqLen * heads * headDim) },
    k: { data: draw.floats(device, 2 * seqLen * headDim) },
    v: { data: draw.floats(device, 2 * seqLen * headDim) },
    firstSeen_T: intsBy(device, 2 * seqLen, (i) => (i % seqLen < 200 ? 0 : 150)),
    out: { data: device.floats(2 * seqLen * heads * headDim) },
    lse_TH: device.floats(2 * seqLen * heads),
  });
  const inputs = new Map<Device, ReturnType<typeof common>>();
  const forward = both((device, draw) => {
    const shape = common(device, draw);
    inputs.set(device, shape);
    return { call: { op: 'attention.forward', ...shape }, out: [shape.out.data, shape.lse_TH] };
  });
  forward.found.forEach((found, i) => t.true(largestError(found, forward.expected[i]!) < 1e-5));
  const backward = both((device, draw) => {
    const shape = inputs.get(device)!;
    const gradients = [heads, 1, 1].map((n) => ({ data: device.floats(2 * seqLen * n * headDim) }));
    const [dq, dk, dv] = [gradients[0]!, gradients[1]!, gradients[2]!];
    const dOut = { data: draw.floats(device, 2 * seqLen * heads * headDim) };
    return {
      call: { op: 'attention.backward', ...shape, dOut, dq, dk, dv },
      out: [dq.data, dk.data, dv.data],
    };
  });
  backward.found.forEach((found, i) => t.true(largestError(found, backward.expected[i]!) < 5e-5));
});

/** A head over 37 tokens, in two grains, one target ignored. */
function headCase(device: Device, draw: Draw, vocab: number, scale: number) {
  const [tokens, dim] = [37, 2];
  const headSum = { values: device.int64s(vocab * dim), overflow: device.ints(1) };
  const [loss_T, dx_TD] = [device.floats(tokens), device.floats(tokens * dim)];
  const call: KernelCall = {
    op: 'head.loss',
    tokens,
    dim,
    vocab,
    x_TD: draw.floats(device, tokens * dim, scale),
    head_VD: draw.floats(device, vocab * dim, 2),
    targets_T: intsBy(device, tokens, (i) => (i === 5 ? -1 : (i * 7919) % vocab)),
    grainStarts: intsOf(device, [0, 35, tokens]),
    loss_T,
    lossSum: device.int64s(2),
    gradScale: 1 / tokens,
    dx_TD,
    headSum,
  };
  return { call, loss_T, dx_TD, headSum };
}

for (const [what, vocab, scale] of [
  ['a grain cut into chunks of rows is one leaf', 262_144, 0.1],
  ['a target whose probability float32 cannot hold has an exact loss', 16, 90],
] as const) {
  test(`head.loss: ${what}`, (t) => {
    const found = headCase(storage, new Draw(1), vocab, scale);
    const expected = headCase(oracle, new Draw(1), vocab, scale);
    t.is(runner.run([onHost(found.call)]).error, null);
    t.is(oracle.run([expected.call]).error, null);
    if (scale === 90) t.true(Math.max(...onHost(found.loss_T)) > 120);
    t.true(largestError(onHost(found.loss_T), onHost(expected.loss_T)) < 1e-5);
    t.true(largestError(onHost(found.dx_TD), onHost(expected.dx_TD)) < 5e-5);
    const [leaf, expectedLeaf] = [found, expected].map(({ headSum }) =>
      Float64Array.from(onHost(headSum.values), (value) => Number(value) * 2 ** GRADIENT_QUANTUM_LOG2),
    );
    t.true(largestError(leaf!, expectedLeaf!) < 5e-5);
  });
}

test('kernel runner: NaN in an operand reaches the result and the overflow flag', (t) => {
  const x = new Float32Array(64).fill(1);
  x[3] = Number.NaN;
  const out = new Float32Array(64);
  const weight = new Float32Array(64).fill(1);
  const shape = { rows: 8, inDim: 8, outDim: 8 };
  runner.run([{ op: 'linear.forward', ...shape, x: { data: x }, weight, out: { data: out } }]);
  t.true(Number.isNaN(out[0]));
  t.is(out[8], 8);
  const weightSum = { values: new BigInt64Array(64), overflow: new Int32Array(1) };
  const grainStarts = Int32Array.of(0, 8);
  const dOut = { data: weight };
  runner.run([{ op: 'linear.backward.weight', ...shape, x: { data: x }, dOut, grainStarts, weightSum }]);
  t.is(weightSum.overflow[0], 1);
});
