import { assert } from '@troupe/core';
import type { Activations } from './activations.ts';
import type { FlatSums, FlatWeights } from './flat-buffers.ts';
import type { RopeTables } from './rope-tables.ts';
import type { StageShape } from './stage-shape.ts';
import type { StageStatistics } from './statistics.ts';

/**
 * What the builders of kernel calls work on: one microbatch (`act`) of one stage under one version of the weights.
 *
 * `weights` and `sums` hold the stage's dense units (`denseUnits` of its layers; with a tied head the last stage
 * holds `embed` too). `sums` is null at inference; `statistics` is shared by the microbatches of a step.
 */
export interface StageContext {
  readonly shape: StageShape;
  readonly weights: FlatWeights;
  readonly sums: FlatSums | null;
  readonly act: Activations;
  readonly rope: RopeTables;
  readonly statistics: StageStatistics;
}

/** The gradient sums, which a backward pass needs. */
export function sumsOf(ctx: StageContext): FlatSums {
  assert(ctx.sums !== null, 'a backward pass needs gradient sums');
  return ctx.sums;
}
