import test from 'ava';
import type { StepEvent } from '@troupe/telemetry';
import { openReferenceDevice } from '@troupe/kernels';
import type { PipelineKind } from '@troupe/topology/layout';
import { simulate } from 'troupe';
import { resolveTopology } from '@troupe/topology';
import { tinyTokens } from './tiny-cluster.ts';

const STAGES = 4;
const MICROBATCHES = 8;

/** Four equal stages, eight equal microbatches, in a simulation whose devices are slow beside its links. */
async function stepOf(pipeline: PipelineKind): Promise<{ step: StepEvent; numFinishing: number }> {
  const topology = resolveTopology({
    troupe: 1,
    name: 'zero-bubble',
    model: { vocab: 32, layers: STAGES, dModel: 32, heads: 2, seqLen: 8, ffn: { kind: 'swiglu', dFf: 128 } },
    data: { synthetic: 'zipf' },
    train: { steps: 1, batch: 8, grains: 8, microbatches: MICROBATCHES, optimizer: { lr: 1e-2, warmup: 0 } },
    parallel: { pp: STAGES, pipeline, stages: [1, 1, 1, 1] },
    machines: [{ devices: ['cpu:0', 'cpu:1', 'cpu:2', 'cpu:3'] }],
    recovery: { buddies: false },
    eval: { every: 0 },
  });
  let numFinishing = 0;
  const { events } = await simulate(topology, {
    seed: 1,
    openDevice: async () => openReferenceDevice({ dtype: 'f32' }),
    tokens: tinyTokens,
    speed: { flopsPerMs: 1e4, launchMs: 0 },
    link: { latencyMs: 0, jitterMs: 0 },
    observe: ({ event }) => {
      if (event.type === 'matrices.run') numFinishing += 1;
    },
  });
  const step = events.find((event): event is StepEvent => event.event === 'step');
  if (step === undefined) throw new RangeError('no step ended');
  return { step, numFinishing };
}

const secondsOf = ({ tokens, tokensPerSecond }: StepEvent): number => tokens / tokensPerSecond;

test('zero-bubble: gradients of matrices run where bubbles were: idle time is at most 60 % of that of 1F1B', async (t) => {
  const [plain, apart] = [await stepOf('1f1b'), await stepOf('zero-bubble')];
  t.is(apart.step.loss, plain.step.loss);
  t.is(apart.step.gradNorm, plain.step.gradNorm);
  const idle = ({ step }: typeof plain): number => (1 - step.kernelShare) * secondsOf(step);
  const share = idle(apart) / idle(plain);
  t.log(
    `idle ${(100 * share).toFixed(1)} %, time ${(secondsOf(apart.step) / secondsOf(plain.step)).toFixed(3)}`,
  );
  t.true(share <= 0.6, `${share}`);
  t.is(plain.numFinishing, 0);
  t.is(apart.numFinishing, STAGES * MICROBATCHES);
});
