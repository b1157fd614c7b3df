import type { KernelCall } from '@troupe/core';
import { checkBatch, type Batch } from './batch.ts';
import { sumsOf, type StageContext } from './stage-context.ts';

/** ids_T → hidden[0]. @throws {BatchLengthError} TROUPE_MODEL_BATCH */
export function embedForward(ctx: StageContext, batch: Batch): KernelCall[] {
  checkBatch(ctx.shape, batch);
  return [
    {
      op: 'embed.forward',
      ids_T: batch.ids_T,
      table_VD: ctx.weights.view('embed'),
      out_TD: ctx.act.hidden(0),
      dim: ctx.shape.config.dModel,
    },
  ];
}

/** Gradient of hidden[0] (dHidden) → the embedding's sum. */
export function embedBackward(ctx: StageContext, batch: Batch): KernelCall[] {
  return [
    {
      op: 'embed.backward',
      ids_T: batch.ids_T,
      dOut_TD: ctx.act.gradients.dHidden_TD,
      dim: ctx.shape.config.dModel,
      grainStarts: ctx.act.grainStarts,
      tableSum: sumsOf(ctx).view('embed'),
    },
  ];
}
