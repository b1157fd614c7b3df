import { assert } from '@troupe/core';
import type { KernelCall } from '@troupe/kernel-set';
import { encoderLayers, memoryNormId } from '@troupe/spec';
import type { MemoryRows } from './memory-rows.ts';
import { normBackward, normForward } from './norms.ts';
import type { StageContext } from './stage-context.ts';

const isLastOfEncoder = (ctx: StageContext, layer: number): boolean =>
  layer === encoderLayers(ctx.shape.config) - 1;

/** What the layers of a chunk make of the memory, or read of it. */
export function memoryOf({ memory }: StageContext): MemoryRows {
  assert(memory !== undefined, 'a chunk that makes or reads the memory has room for it');
  return memory;
}

/** Behind the encoder's last block: hidden[l+1] → the memory. Behind any other there is nothing. */
export function memoryForward(ctx: StageContext, layer: number): KernelCall[] {
  if (!isLastOfEncoder(ctx, layer)) return [];
  const { rows_SD, stats } = memoryOf(ctx);
  return [normForward(ctx, memoryNormId(layer), ctx.act.hidden(layer + 1), rows_SD, stats)];
}

/** The gradient of the memory, which all blocks of the decoder have added to → dHidden. */
export function memoryBackward(ctx: StageContext, layer: number): KernelCall[] {
  if (!isLastOfEncoder(ctx, layer)) return [];
  const { gradient_SD, stats } = memoryOf(ctx);
  assert(gradient_SD !== null, 'a backward pass has the gradient of the memory', { layer });
  const io = { x: ctx.act.hidden(layer + 1), stats, dOut: gradient_SD, dx: ctx.act.gradients.dHidden_TD };
  return [normBackward(ctx, memoryNormId(layer), { ...io, accumulate: false })];
}
