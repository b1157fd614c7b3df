import { assert } from '@troupe/core';
import type { Floats, KernelCall } from '@troupe/kernel-set';
import { eachSegment, segmentId } from '@troupe/spec';
import { checkBatch, type DeviceBatch } from './batch.ts';
import { vocabOf } from './head-activations.ts';
import { gradientsOf, type StageContext } from './stage-context.ts';
import { joined, type Step } from './step.ts';
import { isWhole } from './tensor-share.ts';

/** Each of this device's parts of the table, and where it begins; a whole table begins nowhere. */
function tables(ctx: StageContext) {
  const { tensor } = ctx.act;
  const { vocab } = ctx.shape.config;
  return eachSegment(tensor.segments).map((segment) => ({
    unitId: segmentId('embed', segment),
    ...(isWhole(tensor) ? {} : { firstId: vocabOf(segment, vocab).firstVocab }),
  }));
}

/** Rows of `out` for the ids that this device has. */
const lookups = (ctx: StageContext, batch: DeviceBatch, out_TD: Floats): KernelCall[] =>
  tables(ctx).map(({ unitId, ...from }) => ({
    op: 'embed.forward',
    ids_T: batch.ids_T,
    table_VD: ctx.weights.view(unitId),
    out_TD,
    dim: ctx.shape.config.dModel,
    ...from,
  }));

/** ids_T → hidden[0]. @throws {BatchLengthError} TROUPE_MODEL_BATCH */
export function embedForward(ctx: StageContext, batch: DeviceBatch): readonly Step[] {
  checkBatch(ctx.shape, batch);
  const { act } = ctx;
  const out = act.hidden(0);
  if (act.tensor.peers === 1) return [{ calls: lookups(ctx, batch, out) }];
  const { share } = act.sums.ffn;
  assert(share !== null, 'what peers add up has a share');
  // Negative zeros, which leave every number as it is that they are added to.
  return joined([
    { calls: [{ op: 'fill', out: share, kind: 'constant', scale: -0, key: [0, 0], firstIndex: 0 }] },
    { calls: lookups(ctx, batch, share) },
    {
      exchange: {
        shares: [share],
        next: (sharesOf) => [{ op: 'partials.add', parts: sharesOf.flat(), out }],
      },
    },
  ]);
}

/** Gradient of hidden[0] (dHidden) → the embedding's gradient, to which a tied head has given its part before. */
export function embedBackward(ctx: StageContext, batch: DeviceBatch): readonly Step[] {
  const { config } = ctx.shape;
  const gradients = gradientsOf(ctx);
  const targets = config.tiedHead ? gradients.more : gradients;
  const calls = tables(ctx).map(({ unitId, ...from }): KernelCall => ({
    op: 'embed.backward',
    ids_T: batch.ids_T,
    dOut_TD: ctx.act.gradients.dHidden_TD,
    dim: config.dModel,
    grainStarts: ctx.act.grainStarts,
    tableSum: targets.view(unitId),
    ...from,
  }));
  return [{ calls }];
}
