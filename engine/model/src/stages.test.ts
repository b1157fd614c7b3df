import test from 'ava';
import type { Device, SyncDevice } from '@troupe/kernel-set';
import { openReferenceDevice } from '@troupe/kernels';
import { denseUnits, expertUnits, flatLayout, layerUnits, type ModelConfig, type Unit } from '@troupe/spec';
import { Activations } from './activations.ts';
import { attentionBackward, attentionForward } from './attention.ts';
import { balanceCoefficients, streamCoefficients } from './balance.ts';
import { numValidTargets, numValidTokens, uploadBatch, type Batch, type DeviceBatch } from './batch.ts';
import { runCalls } from './device-run.ts';
import { embedBackward, embedForward } from './embedding.ts';
import { FlatGradients, leavesOf, type GradientKind } from './flat-gradients.ts';
import { FlatWeights } from './flat-weights.ts';
import { combineBackward, combineForward, gateBackward } from './combine.ts';
import { gateForward } from './gate.ts';
import { headBackward, headForward } from './head.ts';
import { LocalExperts } from './local-experts.ts';
import { LocalModel } from './local-model.ts';
import { backwardLayers, forwardLayers } from './local-pass.ts';
import { positionTables } from './position-tables.ts';
import { gradientsOf, type StageContext } from './stage-context.ts';
import { StageStatistics } from './statistics.ts';
import { callsOf, type Step } from './step.ts';
import { tinyBatch, tinyConfig } from './testing/tiny-model.ts';

interface Stage {
  /** What microbatch `index` of a step works on. */
  readonly of: (index: number) => StageContext;
  readonly gradients: FlatGradients;
  readonly experts: LocalExperts;
  readonly layer: number;
}

/** One pipeline stage of one layer, with its own part of the weights of `whole`. */
function openStage(
  device: Device,
  config: ModelConfig,
  layer: number,
  options: { readonly whole: FlatWeights; readonly kind: GradientKind },
): Stage {
  const { whole, kind } = options;
  const ends = denseUnits(config).filter(({ id }) =>
    layer === 0 ? id === 'embed' : id === 'norm' || id === 'head',
  );
  const units: readonly Unit[] = [...ends, ...layerUnits(config, layer), ...expertUnits(config, layer)];
  const layout = flatLayout(units);
  const weights = new FlatWeights(layout, device.floats(layout.length));
  for (const { id } of units) device.write(weights.view(id), device.read(whole.view(id)));
  const shape = { config, sequences: 2, grains: 1 };
  const act = new Activations(device, shape, { training: true, layers: { first: layer, count: 1 } });
  const gradients = new FlatGradients(device, layout, { kindOf: () => kind, leavesOf: leavesOf(config, 2) });
  const statistics = new StageStatistics(device, config, [layer]);
  const ctx = { shape, weights, act, positions: positionTables(device, config), statistics };
  return {
    of: (microbatch) => ({ ...ctx, gradients: gradients.of(microbatch) }),
    gradients,
    experts: new LocalExperts(device),
    layer,
  };
}

function cut(device: Device, batch: Batch, first: number, last: number): DeviceBatch {
  return uploadBatch(device, {
    ids_T: batch.ids_T.slice(first, last),
    targets_T: batch.targets_T.slice(first, last),
    firstSeen_T: batch.firstSeen_T.slice(first, last),
    valid_T: batch.valid_T.slice(first, last),
  });
}

for (const kind of ['added', 'begun'] as const) {
  test(`stages: pipeline stages and microbatches add up to the gradients of the whole model, sums ${kind}`, async (t) => {
    const config = tinyConfig({ moe: { sharedExperts: 1 } });
    const device: SyncDevice = openReferenceDevice();
    const batch = tinyBatch(config);
    const whole = new LocalModel(device, { config, sequences: 4, grains: 2 });
    await whole.initialise(3);
    const expected = await whole.lossAndGradients(batch);
    const options = { whole: whole.weights, kind };
    const stages = [openStage(device, config, 0, options), openStage(device, config, 1, options)] as const;
    const { auxScale, zScale } = balanceCoefficients(config, {
      sequences: 4,
      tokens: numValidTokens(batch.valid_T),
      domains: 0,
    });
    const gradScale = 1 / numValidTargets(batch.targets_T);
    const run = (...steps: readonly Step[]): void => {
      t.is(device.run(callsOf(steps)).error, null);
    };

    const forward = ({ experts, layer }: Stage, ctx: StageContext, part: DeviceBatch): void => {
      run(...attentionForward(ctx, layer, part), { calls: gateForward(ctx, layer, part, { ranks: 1 }) });
      run({ calls: experts.forward(ctx, layer) }, { calls: combineForward(ctx, layer) });
    };
    const backward = ({ experts, layer }: Stage, ctx: StageContext, part: DeviceBatch): void => {
      run({ calls: combineBackward(ctx, layer) }, { calls: experts.backward(ctx, layer, gradientsOf(ctx)) });
      run(
        {
          calls: gateBackward(ctx, layer, part, { auxScale, zScale }),
        },
        ...attentionBackward(ctx, layer, part),
      );
    };

    for (const [index, part] of [cut(device, batch, 12, 24), cut(device, batch, 0, 12)].entries()) {
      const [first, second] = [stages[0].of(index), stages[1].of(index)];
      run(...embedForward(first, part));
      forward(stages[0], first, part);
      device.write(second.act.hidden(1), device.read(first.act.hidden(1)));
      forward(stages[1], second, part);
      run(...headForward(second, part, { gradScale }), { calls: headBackward(second) });
      backward(stages[1], second, part);
      device.write(first.act.gradients.dHidden_TD, device.read(second.act.gradients.dHidden_TD));
      backward(stages[0], first, part);
      run(...embedBackward(first, part));
    }

    for (const stage of stages) {
      const { statistics } = stage.of(0);
      const { layout } = stage.gradients;
      layout.units.forEach(({ id, size }, index) => {
        const gradient = device.floats(size);
        const from = layout.starts[index] ?? 0;
        run({
          calls: [{ op: 'sum.read', sum: stage.gradients.sum(from, from + size).values, out: gradient }],
        });
        t.deepEqual(device.read(gradient), device.read(expected.gradients.view(id)), id);
      });
      const [own] = statistics.byLayer();
      t.deepEqual(own, whole.statistics.byLayer()[stage.layer]);
    }
    t.deepEqual(stages[1].of(0).statistics.totals().lossSum, whole.statistics.totals().lossSum);
  });
}

for (const tiedHead of [false, true]) {
  test(`gradients: stored ones are what the sums give, ${tiedHead ? 'tied' : 'own'} head, also in a second attempt`, async (t) => {
    const config = tinyConfig({ tiedHead, moe: { sharedExperts: 1 } });
    const device = openReferenceDevice();
    const tokens = tinyBatch(config);
    const batch = uploadBatch(device, tokens);
    const whole = new LocalModel(device, { config, sequences: 4, grains: 2 });
    await whole.initialise(3);
    const expected = await whole.lossAndGradients(tokens);
    const { layout } = whole.weights;
    // Head and embedding are one unit when tied, with two calls.
    const gradients = new FlatGradients(device, layout, {
      kindOf: ({ id }) => (tiedHead && id === 'embed' ? 'begun' : 'stored'),
      leavesOf: leavesOf(config, 2),
    });
    t.is(gradients.slices(0, layout.length).length, tiedHead ? 2 : 1);
    const shape = { config, sequences: 4, grains: 2 };
    const ctx = {
      shape,
      weights: whole.weights,
      gradients: gradients.of(0),
      act: new Activations(device, shape, { training: true }),
      positions: positionTables(device, config),
      statistics: new StageStatistics(device, config),
    };
    const streams = { decoder: { context: ctx, batch }, encoder: null };
    const experts = new LocalExperts(device);
    const run = (steps: readonly Step[]) => runCalls(device, callsOf(steps));
    const global = { sequences: 4, tokens: numValidTokens(tokens.valid_T), domains: 0 };
    for (const attempt of [1, 2]) {
      await run([{ calls: gradients.reset() }]);
      await forwardLayers(streams, experts, run);
      await run(headForward(ctx, batch, { gradScale: 1 / numValidTargets(tokens.targets_T) }));
      const balance = streamCoefficients(
        config,
        { decoder: global, encoder: null },
        ctx.statistics.byLayer(),
      );
      await backwardLayers(streams, { experts, balance }, run);
      for (const slice of gradients.slices(0, layout.length)) {
        const { from, to } = slice;
        const read = device.floats(to - from);
        if (slice.kind !== 'stored')
          await run([{ calls: [{ op: 'sum.read', sum: slice.values, out: read }] }]);
        const found = slice.kind === 'stored' ? slice.values : read;
        const wanted = expected.gradients.data.subarray(from, to);
        t.deepEqual(device.read(found), device.read(wanted), `attempt ${attempt}`);
      }
    }
  });
}
