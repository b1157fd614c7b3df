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

/** Adds the row of sines of each token's place in its text; none where positions are told otherwise. */
function placed(ctx: StageContext, batch: DeviceBatch, out_TD: Floats): KernelCall[] {
  const { positions, seqLen, dModel: dim } = ctx.shape.config;
  if (positions !== 'sinusoidal') return [];
  const common = { op: 'positions.add', table_SD: ctx.positions.sines_SD, seqLen, dim } as const;
  if (ctx.cache === undefined)
    return [{ ...common, rows: ctx.act.tokens, out_TD, firstSeen_T: batch.firstSeen_T }];
  return ctx.cache.texts.map(({ position, rows }, index) => ({
    ...common,
    rows,
    out_TD: out_TD.subarray(index * seqLen * dim, (index * seqLen + rows) * dim),
    firstPosition: position,
  }));
}

/** ids_T → the input of the stream's first layer. @throws {BatchLengthError} TROUPE_MODEL_BATCH */
export function embedForward(ctx: StageContext, batch: DeviceBatch): readonly Step[] {
  checkBatch(ctx.shape, batch);
  const { act } = ctx;
  const out = act.hidden(act.firstLayer);
  if (act.tensor.peers === 1) return [{ calls: [...lookups(ctx, batch, out), ...placed(ctx, batch, out)] }];
  const { share } = act.sums.ffn;
  assert(share !== null, 'what peers add up has a share');
  // Negative zeros, which leave every number as it is that they are added to.
  return joined([
    { calls: [{ op: 'fill', out: share, kind: 'constant', scale: -0, key: [0, 0], firstIndex: 0 }] },
    { calls: lookups(ctx, batch, share) },
    {
      exchange: {
        shares: [share],
        next: (sharesOf) => [{ op: 'partials.add', parts: sharesOf.flat(), out }, ...placed(ctx, batch, out)],
      },
    },
  ]);
}

/**
 * Gradient of the input of the stream's first layer (dHidden) → the embedding's gradient.
 *
 * @param isMore - another stream, or a tied head, has given its part before
 */
export function embedBackward(ctx: StageContext, batch: DeviceBatch, isMore = false): readonly Step[] {
  const { config } = ctx.shape;
  const gradients = gradientsOf(ctx);
  const targets = config.tiedHead || isMore ? gradients.more : gradients;
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
