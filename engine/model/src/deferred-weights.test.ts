import test from 'ava';
import type { Device, KernelCall, Precision } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import { Activations } from './activations.ts';
import { streamCoefficients } from './balance.ts';
import { numValidTargets, numValidTokens, uploadBatch, type Batch } from './batch.ts';
import { DeferredWeights } from './deferred-weights.ts';
import { runCalls } from './device-run.ts';
import { FlatGradients, leavesOf, type GradientKind } from './flat-gradients.ts';
import { headForward } from './head.ts';
import { LocalExperts } from './local-experts.ts';
import { LocalModel } from './local-model.ts';
import { backwardLayers, forwardLayers } from './local-pass.ts';
import { positionTables } from './position-tables.ts';
import type { StageContext } from './stage-context.ts';
import { StageStatistics } from './statistics.ts';
import { callsOf, type Step } from './step.ts';
import { tensorShare } from './tensor-share.ts';
import { tinyBatch, tinyConfig, type TinyChanges } from './testing/tiny-model.ts';

interface Run {
  readonly changes: TinyChanges;
  readonly kind: GradientKind;
  readonly precision?: Precision;
  readonly ranks?: number;
  /** Of every matrix (KER-9), all on this device. */
  readonly segments?: number;
  readonly recompute?: boolean;
}

/** A pass over one sequence pair, and how its backward pass is cut. */
interface Pass {
  readonly ctx: StageContext;
  readonly deferred: DeferredWeights;
  readonly batch: Batch;
}

const half = ({ ids_T, targets_T, firstSeen_T, valid_T }: Batch, index: number): Batch => {
  const length = ids_T.length / 2;
  const own = <A extends Int32Array | Uint8Array>(array: A): A =>
    array.slice(index * length, (index + 1) * length) as A;
  return {
    ids_T: own(ids_T),
    targets_T: own(targets_T),
    firstSeen_T: own(firstSeen_T),
    valid_T: own(valid_T),
  };
};

/** Two microbatches in flight at the same time; `order`: whose weights come first, null for weights in their backward passes. */
async function gradientsOfTwo(
  device: Device,
  { changes, kind, precision = 'f32', ranks = 1, recompute = false, segments = 1 }: Run,
  order: readonly number[] | null,
  firstOf: (index: number) => number = (index) => (order === null ? index : order.indexOf(index)),
) {
  const config = tinyConfig(changes);
  const tensor = tensorShare({ tp: 1, segments, expertsSliced: true }, 0);
  const whole = new LocalModel(device, { config, sequences: 4, grains: 2, precision, tensor });
  await whole.initialise(3);
  const tokens = tinyBatch(config);
  const { layout } = whole.weights;
  const isJoint = (id: string): boolean => id === 'embed' && config.tiedHead;
  const gradients = new FlatGradients(device, layout, {
    kindOf: ({ id }) => (isJoint(id) ? 'added' : kind),
    leavesOf: leavesOf(config, 2, tensor),
  });
  // What an earlier step has left.
  for (const slice of gradients.slices(0, layout.length))
    if (slice.kind === 'begun') device.write(slice.values, new BigInt64Array(slice.values.length).fill(77n));
  const shape = { config, sequences: 2, grains: 1, precision, tensor };
  const statistics = new StageStatistics(device, config);
  const positions = positionTables(device, config);
  const passes = [0, 1].map((index): Pass => {
    const act = new Activations(device, shape, { training: true, ranks, recompute });
    const targets = { gradients: gradients.of(index), deferred: gradients.of(firstOf(index)) };
    return {
      ctx: { shape, weights: whole.weights, ...targets, act, positions, statistics },
      deferred: new DeferredWeights(act),
      batch: half(tokens, index),
    };
  });
  const run = (steps: readonly Step[]) => runCalls(device, callsOf(steps));
  const global = { sequences: 4, tokens: numValidTokens(tokens.valid_T), domains: 0 };
  const balance = config.moe === null ? null : streamCoefficients(config, { decoder: global, encoder: null });
  await run([{ calls: gradients.reset() }]);
  for (const { ctx, deferred, batch } of passes) {
    const experts = new LocalExperts(device);
    const own = uploadBatch(device, batch);
    const streams = { decoder: { context: ctx, batch: own }, encoder: null };
    await forwardLayers(streams, experts, run);
    await run(headForward(ctx, own, { gradScale: 1 / numValidTargets(tokens.targets_T) }));
    await backwardLayers(streams, { experts, balance }, (steps) =>
      run(order === null ? steps : deferred.defer(steps)),
    );
  }
  const waiting = passes.map(({ deferred }) => deferred.take());
  for (const index of order ?? []) await runCalls(device, waiting[index] ?? []);
  const values = gradients.slices(0, layout.length).map((slice) => device.read(slice.values).slice());
  return { values, overflow: device.read(gradients.overflow)[0], waiting };
}

const runs: readonly Run[] = [
  { changes: {}, kind: 'begun' },
  { changes: { moe: { sharedExperts: 1 }, qkNorm: 'head' }, kind: 'added' },
  { changes: { moe: { every: 2 }, qkNorm: 'full', tiedHead: true }, kind: 'begun', ranks: 2 },
  { changes: { moe: { norm: true } }, kind: 'begun', ranks: 2 },
  { changes: { moe: null, norm: { kind: 'layer', eps: 1e-5 } }, kind: 'begun' },
  { changes: { moe: { sharedExperts: 1 } }, kind: 'begun', precision: 'bf16', ranks: 2 },
  { changes: { layers: 3, moe: { sharedExperts: 1, every: 2 } }, kind: 'begun', recompute: true },
  { changes: { kvHeads: 2, moe: { sharedExperts: 2 }, qkNorm: 'full' }, kind: 'added', segments: 2 },
  { changes: { moe: { sharedExperts: 1 } }, kind: 'added', precision: 'bf16', ranks: 2, recompute: true },
];

for (const run of runs)
  test(`deferred weights: ${JSON.stringify(run)}, in any order, leave the bits of whole backward passes`, async (t) => {
    const device = openReferenceDevice({ dtype: 'f32' });
    const { values: expected } = await gradientsOfTwo(device, { ...run, recompute: false }, null);
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const { values, overflow, waiting } = await gradientsOfTwo(device, run, order);
      t.is(overflow, 0);
      t.deepEqual(values, expected, `order ${order.join(', ')}`);
      const ops = new Set(waiting.flat().map(({ op }: KernelCall) => op));
      t.deepEqual([...ops].toSorted(), ['experts.backward.weight', 'linear.backward.weight']);
    }
  });

test('deferred weights: the first call that runs begins a sum, whichever microbatch it is of', async (t) => {
  const device = openReferenceDevice({ dtype: 'f32' });
  const run: Run = { changes: {}, kind: 'begun' };
  const { values: expected } = await gradientsOfTwo(device, run, null);
  const { values } = await gradientsOfTwo(device, run, [1, 0], (index) => index);
  t.notDeepEqual(values, expected, 'microbatch 0 beginning last forgets microbatch 1');
});

test('deferred weights: a second pass keeps its operands in the rooms of the first', (t) => {
  const device = openReferenceDevice({ dtype: 'f32' });
  const deferred = new DeferredWeights({ device, recompute: false });
  const shape = { rows: 2, inDim: 3, outDim: 4, grainStarts: device.ints(2) };
  const x = { data: device.floats(6) };
  const dOut = { data: device.floats(8) };
  const weightSum = { values: device.int64s(12), overflow: device.ints(1) };
  const steps: Step[] = [{ calls: [{ op: 'linear.backward.weight', ...shape, x, dOut, weightSum }] }];
  t.deepEqual(
    callsOf(deferred.defer(steps)).map(({ op }) => op),
    ['copy'],
  );
  t.is(deferred.take().length, 1);
  t.is(deferred.take().length, 0);
  const { bytes } = deferred;
  t.is(bytes, 4 * 8);
  deferred.defer(steps);
  t.is(deferred.bytes, bytes);
});
