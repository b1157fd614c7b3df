import test from 'ava';
import type { Device, Floats, Precision } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import { defaultRouter, dropless } from '@troupe/spec';
import { Activations } from './activations.ts';
import { streamCoefficients } from './balance.ts';
import { numValidTargets, numValidTokens, uploadBatch } from './batch.ts';
import { runCalls } from './device-run.ts';
import { FlatGradients, leavesOf } from './flat-gradients.ts';
import { gateForward } from './gate.ts';
import { headForward } from './head.ts';
import { LocalExperts } from './local-experts.ts';
import { LocalModel } from './local-model.ts';
import { backwardLayers, forwardLayers } from './local-pass.ts';
import { positionTables } from './position-tables.ts';
import { StageStatistics } from './statistics.ts';
import { callsOf, type Step } from './step.ts';
import { tensorShare } from './tensor-share.ts';
import { tinyBatch, tinyConfig, type TinyChanges } from './testing/tiny-model.ts';

interface Run {
  readonly changes: TinyChanges;
  readonly precision?: Precision;
  readonly ranks?: number;
  /** Of every matrix (KER-9), all on this device. */
  readonly segments?: number;
}

/** All buffers of a layer but its input and where its rows went. */
function sharedBuffers(act: Activations, layer: number): readonly Floats[] {
  const { normed1_TD, stats1, mid_TD, normed_TD, stats2, segments, moe } = act.layer(layer);
  const routed =
    moe === null
      ? []
      : [
          moe.jittered_TD,
          moe.logits_TE,
          moe.probs_TE,
          moe.weights_TK,
          moe.rowWeights_N,
          moe.packed_UD,
          moe.returned_ND,
        ];
  const ofSegments = segments.flatMap((each) => [
    each.qkv_TW,
    each.qk,
    each.qStats,
    each.kStats,
    each.attention_TQ,
    each.lse_TH,
    each.ffnSaved,
  ]);
  const all = [normed1_TD, stats1, mid_TD, normed_TD, stats2, ...ofSegments, ...routed];
  return all.filter((each) => each !== null) as readonly Floats[];
}

/** Gradients and statistics of one pass over the tiny batch. */
async function numbersOf(
  device: Device,
  { changes, precision = 'f32', ranks = 1, segments = 1 }: Run,
  recompute: boolean,
) {
  const config = tinyConfig(changes);
  const tensor = tensorShare({ tp: 1, segments, expertsSliced: true }, 0);
  const model = new LocalModel(device, { config, sequences: 4, grains: 2, precision, tensor });
  await model.initialise(3);
  const { layout } = model.weights;
  const gradients = new FlatGradients(device, layout, {
    kindOf: () => 'added',
    leavesOf: leavesOf(config, 2, tensor),
  });
  const shape = { config, sequences: 4, grains: 2, precision, tensor };
  const act = new Activations(device, shape, { training: true, ranks, recompute });
  const statistics = new StageStatistics(device, config);
  const positions = positionTables(device, config);
  const routing = { mode: 'train', seed: 3, step: 2, firstSequence: 8 } as const;
  const ctx = {
    shape,
    weights: model.weights,
    gradients: gradients.of(0),
    act,
    positions,
    statistics,
    routing,
  };
  const tokens = tinyBatch(config);
  const batch = uploadBatch(device, tokens);
  const streams = { decoder: { context: ctx, batch }, encoder: null };
  const experts = new LocalExperts(device);
  const run = (steps: readonly Step[]) => runCalls(device, callsOf(steps));
  await run([{ calls: gradients.reset() }]);
  await forwardLayers(streams, experts, run);
  await run(headForward(ctx, batch, { gradScale: 1 / numValidTargets(tokens.targets_T) }));
  // What is computed again cannot come from before.
  if (recompute) {
    for (let layer = 0; layer < config.layers; layer++)
      for (const each of sharedBuffers(act, layer))
        device.write(
          each,
          Array.from({ length: each.length }, () => Number.NaN),
        );
  }
  const global = { sequences: 4, tokens: numValidTokens(tokens.valid_T), domains: 0 };
  const balance =
    config.moe === null
      ? null
      : streamCoefficients(config, { decoder: global, encoder: null }, statistics.byLayer());
  await backwardLayers(streams, { experts, balance }, run);
  const values = gradients.slices(0, layout.length).map((slice) => device.read(slice.values).slice());
  return {
    values,
    totals: statistics.totals(),
    byLayer: statistics.byLayer(),
    bytes: act.bytes,
    ctx,
    batch,
    run,
  };
}

const dropping: NonNullable<TinyChanges['moe']> = {
  capacity: { ...dropless, train: 0.75, min: 1, weights: 'chosen' },
  router: { ...defaultRouter, sampling: 'second', jitter: 0.1 },
};

const runs: readonly Run[] = [
  { changes: { layers: 3 } },
  { changes: { layers: 4, moe: { every: 2, sharedExperts: 1 }, qkNorm: 'head' }, ranks: 2 },
  {
    changes: { layers: 3, moe: { norm: true, sharedExperts: 1 }, norm: { kind: 'layer', eps: 1e-5 } },
    ranks: 2,
  },
  { changes: { layers: 3, moe: null, norm: { kind: 'layer', eps: 1e-5 }, tiedHead: true } },
  { changes: { layers: 3, moe: { choice: 'skewed' }, qkNorm: 'full' }, ranks: 4 },
  { changes: { layers: 3, moe: dropping }, ranks: 2 },
  { changes: { layers: 3, moe: { ...dropping, sharedExperts: 1, norm: true } }, segments: 2 },
  {
    changes: {
      moe: { balance: { auxLoss: 0.3, zLoss: 0.1, scope: 'global', layers: 'each', bias: 0, domain: 1 } },
    },
  },
  { changes: { layers: 3, moe: { every: 2, sharedExperts: 1 } }, precision: 'bf16', ranks: 2 },
  { changes: { layers: 3, kvHeads: 2, moe: { sharedExperts: 2 }, qkNorm: 'full' }, ranks: 2, segments: 2 },
];

for (const run of runs)
  test(`layers again: ${JSON.stringify(run)}, computed again they leave the same gradients and count nothing twice`, async (t) => {
    const device = openReferenceDevice({ dtype: 'f32' });
    const kept = await numbersOf(device, run, false);
    const again = await numbersOf(device, run, true);
    t.deepEqual(again.values, kept.values);
    t.deepEqual(again.totals, kept.totals);
    t.deepEqual(again.byLayer, kept.byLayer);
    t.true(again.bytes < kept.bytes, `${again.bytes} of ${kept.bytes} bytes`);
  });

test('layers again: a gate that counts once more shows in the statistics', async (t) => {
  const device = openReferenceDevice({ dtype: 'f32' });
  const { ctx, batch, run, totals } = await numbersOf(device, { changes: {} }, true);
  await run([{ calls: gateForward(ctx, 1, batch, { ranks: 1 }) }]);
  t.notDeepEqual(ctx.statistics.totals(), totals);
});
