import type { KernelCall } from '@troupe/kernel-set';
import { checkBatch, type DeviceBatch } from './batch.ts';
import { gradientsOf, type StageContext } from './stage-context.ts';

/** ids_T → hidden[0]. @throws {BatchLengthError} TROUPE_MODEL_BATCH */
export function embedForward(ctx: StageContext, batch: DeviceBatch): KernelCall[] {
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

/** Gradient of hidden[0] (dHidden) → the embedding's gradient, to which a tied head has given its part before. */
export function embedBackward(ctx: StageContext, batch: DeviceBatch): KernelCall[] {
  const { config } = ctx.shape;
  const gradients = gradientsOf(ctx);
  return [
    {
      op: 'embed.backward',
      ids_T: batch.ids_T,
      dOut_TD: ctx.act.gradients.dHidden_TD,
      dim: config.dModel,
      grainStarts: ctx.act.grainStarts,
      tableSum: (config.tiedHead ? gradients.more : gradients).view('embed'),
    },
  ];
}
