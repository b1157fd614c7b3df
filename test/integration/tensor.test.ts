import test, { type ExecutionContext } from 'ava';
import { openReferenceDevice } from '@troupe/kernels';
import { withoutQueue, type Device } from '@troupe/kernel-set';
import { resolveTopology, type ResolvedTopology } from '@troupe/topology';
import { trainTiny, type TinyRun } from './tiny-cluster.ts';

interface Axes {
  readonly tp?: number;
  readonly dp?: number;
  readonly ep?: number;
  readonly pp?: number;
  readonly zero?: 0 | 1 | 2 | 3;
  readonly segments?: 1 | 2 | 4;
  readonly microbatches?: number;
  readonly expertsSliced?: boolean;
}

const STEPS = 5;

/** Two layers with a prime vocabulary, small enough for the reference body. */
function topologyOf(model: object, axes: Axes): ResolvedTopology {
  const { tp = 1, dp = 1, ep = 1, pp = 1, zero = 1, segments = 1, microbatches = 1 } = axes;
  return resolveTopology({
    troupe: 1,
    name: 'tensor-test',
    model: {
      vocab: 37,
      layers: 2,
      dModel: 16,
      heads: 4,
      headDim: 4,
      seqLen: 8,
      ffn: { kind: 'swiglu', dFf: 16 },
      moe: { experts: 4, topK: 2, balance: { auxLoss: 0.02, zLoss: 0.001 } },
      ...model,
    },
    data: { synthetic: 'zipf' },
    train: {
      steps: STEPS,
      batch: 8,
      grains: 8,
      microbatches,
      seed: 5,
      tensorSegments: segments,
      optimizer: { warmup: 0 },
    },
    parallel: { tp, dp, ep, pp, zero, expertsSliced: axes.expertsSliced ?? true },
    machines: [{ devices: Array.from({ length: tp * dp * pp }, (_, index) => `cpu:${index}`) }],
    eval: { every: 0 },
  });
}

const reference = async (): Promise<Device> => openReferenceDevice({ dtype: 'f32' });
const train = (model: object, axes: Axes, steps?: number): Promise<TinyRun> =>
  trainTiny(topologyOf(model, axes), reference, steps === undefined ? {} : { stopAfter: steps });

const norm = (values: ArrayLike<number>): number =>
  Math.sqrt(Array.from(values).reduce((sum, each) => sum + each * each, 0));

/** Within what tensor ranks without segments may differ by. */
function alike(t: ExecutionContext, run: TinyRun, whole: TinyRun, first: TinyRun): void {
  t.is(run.result.error, null);
  run.steps.forEach(({ loss, gradNorm }, index) => {
    const wanted = whole.steps[index];
    t.true(Math.abs(loss / (wanted?.loss ?? 0) - 1) <= 1e-5, `loss ${loss} for ${wanted?.loss}`);
    if (index === 0) t.true(Math.abs(gradNorm / (wanted?.gradNorm ?? 0) - 1) <= 1e-5);
  });
  for (const [name, expected] of whole.parameters) {
    const [found, before] = [run.parameters.get(name), first.parameters.get(name)];
    const apart = norm(expected.map((each, index) => each - (found?.[index] ?? 0)));
    const moved = norm(expected.map((each, index) => each - (before?.[index] ?? 0)));
    t.true(apart <= 1e-2 * moved, `${name}: ${apart} apart, moved ${moved}`);
  }
}

const models = {
  plain: {},
  dense: { moe: null },
  'tied, shared experts': {
    tiedHead: true,
    moe: { experts: 4, topK: 2, sharedExperts: 1 },
  },
  'few heads of keys': { kvHeads: 2, qkNorm: 'head' },
  'norms over the width': { qkNorm: 'full', norm: 'layer' },
} as const;

for (const [title, model] of Object.entries(models))
  test(`tensor: ranks compute what one process does, ${title}`, async (t) => {
    const [whole, first] = [await train(model, {}), await train(model, {}, 1)];
    const axes: readonly Axes[] = [
      { tp: 2 },
      { tp: 2, dp: 2, ...('moe' in model && model.moe === null ? {} : { ep: 2 }), microbatches: 2 },
      ...(title === 'norms over the width' ? [] : [{ tp: 4, zero: 0 as const }]),
      ...('moe' in model && model.moe === null ? [] : [{ tp: 2, expertsSliced: false }]),
    ];
    for (const each of axes) alike(t, await train(model, each), whole, first);
  });

test('tensor: with segments no number of ranks changes a bit, whatever else is divided', async (t) => {
  const model = { kvHeads: 4, qkNorm: 'head', moe: { experts: 4, topK: 2, sharedExperts: 1 } };
  const whole = await train(model, { segments: 4 });
  t.is(whole.result.error, null);
  const axes: readonly Axes[] = [
    { tp: 2 },
    { tp: 4, zero: 0 },
    { tp: 2, dp: 2, ep: 2, microbatches: 2 },
    { tp: 2, pp: 2, dp: 2, zero: 2 },
    { tp: 2, dp: 2, ep: 2, zero: 3 },
    { tp: 2, expertsSliced: false },
    { tp: 4, dp: 2, ep: 2, expertsSliced: false },
  ];
  for (const each of axes) {
    const run = await train(model, { ...each, segments: 4 });
    t.is(run.result.error, null, JSON.stringify(each));
    t.deepEqual(run.hashes, whole.hashes, JSON.stringify(each));
  }
});

/** Takes another epsilon into every norm: what a peer would compute that reads the sums in another order. */
function askew(device: Device): Device {
  return {
    ...withoutQueue(device),
    submit: (calls, done) =>
      device.submit(
        calls.map((call) => (call.op === 'norm.forward' ? { ...call, eps: 1.01 * call.eps } : call)),
        done,
      ),
  };
}

test('TEN-4: a peer whose norms have another gradient is found in the step', async (t) => {
  let opened = 0;
  const run = await trainTiny(topologyOf({}, { tp: 2 }), async () => {
    const device = await reference();
    return opened++ === 1 ? askew(device) : device;
  }).catch((error: unknown) => error);
  const message = run instanceof Error ? run.message : (run as TinyRun).result.error?.message;
  t.regex(message ?? '', /tensor peers have the same gradients/);
});
