import test from 'ava';
import type { Device, SyncDevice } from '@troupe/core';
import { openReferenceDevice } from '@troupe/kernels';
import { denseUnits, expertUnits, flatLayout, layerUnits, type ModelConfig, type Unit } from '@troupe/spec';
import { Activations } from './activations.ts';
import { attentionBackward, attentionForward } from './attention.ts';
import { balanceCoefficients } from './balance.ts';
import { numValidTargets, numValidTokens, type Batch } from './batch.ts';
import { returnedGradients, returnedRows } from './dispatch.ts';
import { embedBackward, embedForward } from './embedding.ts';
import { FlatSums, FlatWeights } from './flat-buffers.ts';
import { combineBackward, combineForward, gateBackward, gateForward } from './gate.ts';
import { headBackward, headForward } from './head.ts';
import { LocalExperts } from './local-experts.ts';
import { LocalModel } from './local-model.ts';
import { ropeTables } from './rope-tables.ts';
import { sumsOf, type StageContext } from './stage-context.ts';
import { StageStatistics } from './statistics.ts';
import { tinyBatch, tinyConfig } from './tiny-model.ts';

interface Stage {
  readonly ctx: StageContext;
  readonly experts: LocalExperts;
  readonly layer: number;
}

/** One pipeline stage of one layer, with its own part of the weights of `whole`. */
function openStage(device: Device, config: ModelConfig, layer: number, whole: FlatWeights): Stage {
  const ends = denseUnits(config).filter(({ id }) =>
    layer === 0 ? id === 'embed' : id === 'norm' || id === 'head',
  );
  const units: readonly Unit[] = [...ends, ...layerUnits(config, layer), ...expertUnits(config, layer)];
  const layout = flatLayout(units);
  const weights = new FlatWeights(layout, device.floats(layout.length));
  for (const { id } of units) weights.view(id).set(whole.view(id));
  const shape = { config, sequences: 2, grains: 1 };
  const act = new Activations(device, shape, { training: true, layers: { first: layer, count: 1 } });
  const sums = new FlatSums(layout, device.int64s(layout.length), device.ints(1));
  const statistics = new StageStatistics(device, config, [layer]);
  return {
    ctx: { shape, weights, sums, act, rope: ropeTables(device, config), statistics },
    experts: new LocalExperts(device),
    layer,
  };
}

function cut(batch: Batch, first: number, last: number): Batch {
  return {
    ids_T: batch.ids_T.slice(first, last),
    targets_T: batch.targets_T.slice(first, last),
    firstSeen_T: batch.firstSeen_T.slice(first, last),
    valid_T: batch.valid_T.slice(first, last),
  };
}

test('stages: pipeline stages and microbatches add up to the gradients of the whole model', async (t) => {
  const config = tinyConfig({ moe: { sharedExperts: 1 } });
  const device: SyncDevice = openReferenceDevice();
  const batch = tinyBatch(config);
  const whole = new LocalModel(device, { config, sequences: 4, grains: 2 });
  await whole.initialise(3);
  const expected = await whole.lossAndGradients(batch);
  const stages = [
    openStage(device, config, 0, whole.weights),
    openStage(device, config, 1, whole.weights),
  ] as const;
  const { auxScale, zScale } = balanceCoefficients(config, {
    sequences: 4,
    tokens: numValidTokens(batch.valid_T),
  });
  const gradScale = 1 / numValidTargets(batch.targets_T);
  const run = (...lists: Parameters<SyncDevice['run']>[0][]): void => {
    for (const calls of lists) t.is(device.run(calls).error, null);
  };

  const forward = ({ ctx, experts, layer }: Stage, part: Batch): void => {
    run([...attentionForward(ctx, layer, part), ...gateForward(ctx, layer, part, { ranks: 1 })]);
    run(experts.forward(ctx, layer), combineForward(ctx, layer, [returnedRows(ctx, layer, 0)]));
  };
  const backward = ({ ctx, experts, layer }: Stage, part: Batch): void => {
    run(
      combineBackward(ctx, layer, [returnedRows(ctx, layer, 0)]),
      experts.backward(ctx, layer, sumsOf(ctx)),
    );
    run(
      gateBackward(ctx, layer, part, [returnedGradients(ctx, layer, 0)], { auxScale, zScale }),
      attentionBackward(ctx, layer, part),
    );
  };

  const [first, second] = stages;
  for (const part of [cut(batch, 12, 24), cut(batch, 0, 12)]) {
    run(embedForward(first.ctx, part));
    forward(first, part);
    second.ctx.act.hidden(1).set(first.ctx.act.hidden(1));
    forward(second, part);
    run(headForward(second.ctx, part, { gradScale }), headBackward(second.ctx));
    backward(second, part);
    first.ctx.act.gradients.dHidden_TD.set(second.ctx.act.gradients.dHidden_TD);
    backward(first, part);
    run(embedBackward(first.ctx, part));
  }

  for (const { ctx, layer } of stages) {
    for (const { id, size } of ctx.weights.layout.units) {
      const gradient = device.floats(size);
      run([{ op: 'sum.read', sum: sumsOf(ctx).view(id).values, out: gradient }]);
      t.deepEqual(gradient, expected.gradients.view(id), id);
    }
    t.deepEqual(ctx.statistics.of(layer), whole.statistics.of(layer));
  }
  t.deepEqual(second.ctx.statistics.lossSum, whole.statistics.lossSum);
});
