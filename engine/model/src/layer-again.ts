import { assert } from '@troupe/core';
import { isMoeLayer } from '@troupe/spec';
import { attentionForward } from './attention.ts';
import type { DeviceBatch } from './batch.ts';
import { ffnForward } from './ffn.ts';
import { gateAgain } from './gate.ts';
import type { StageContext } from './stage-context.ts';
import { joined, type Step } from './step.ts';

/**
 * A layer's forward pass once more, from hidden[l] to all that its backward pass reads but the rows of its experts (`packTokens` and the
 * experts come next). ACT-3: choices and the plan of the rows are those of the first time, and no statistic counts anything.
 *
 * hidden[l+1] may be written over: its own backward pass is done.
 */
export function layerAgain(ctx: StageContext, layer: number, batch: DeviceBatch): readonly Step[] {
  assert(ctx.act.recompute, 'what every layer keeps is not computed again', { layer });
  const rest: readonly Step[] = isMoeLayer(ctx.shape.config, layer)
    ? [{ calls: gateAgain(ctx, layer, batch) }]
    : ffnForward(ctx, layer);
  return joined([...attentionForward(ctx, layer, batch), ...rest]);
}
