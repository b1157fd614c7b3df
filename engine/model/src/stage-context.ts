import { assert } from '@troupe/core';
import type { MoeConfig } from '@troupe/spec';
import type { Activations } from './activations.ts';
import type { UnitTargets } from './flat-gradients.ts';
import type { UnitWeights } from './flat-weights.ts';
import type { CachedPass } from './key-value-cache.ts';
import type { MemoryRows } from './memory-rows.ts';
import type { PositionTables } from './position-tables.ts';
import type { RoutingPlace } from './routing-place.ts';
import type { StageShape } from './stage-shape.ts';
import type { StageStatistics } from './statistics.ts';

/**
 * What the builders of kernel calls work on: one microbatch (`act`) of one stage under one version of the weights.
 *
 * `weights` and `gradients` hold the stage's dense units (`denseUnits` of its layers; with a tied head the last stage
 * holds `embed` too). `gradients` is null at inference; `statistics` is shared by the microbatches of a step.
 */
export interface StageContext {
  readonly shape: StageShape;
  readonly weights: UnitWeights;
  readonly gradients: UnitTargets | null;
  /** Of the calls that {@link DeferredWeights} holds back, which may be the first to begin a sum when others are not. Absent: as `gradients`. */
  readonly deferred?: UnitTargets;
  readonly act: Activations;
  readonly positions: PositionTables;
  /** What the encoder made; absent where the chunk's layers neither make nor read it. */
  readonly memory?: MemoryRows;
  readonly statistics: StageStatistics;
  /** Whose draws its gates take, and whether it trains; absent in generation, which neither draws nor drops. */
  readonly routing?: RoutingPlace;
  /** Generation: the rows are the next of texts whose earlier positions are kept. Absent: sequences are whole. */
  readonly cache?: CachedPass;
}

/** Where a backward pass puts the gradients of the stage's units. */
export function gradientsOf(ctx: StageContext): UnitTargets {
  assert(ctx.gradients !== null, 'a backward pass needs room for gradients');
  return ctx.gradients;
}

/** Where products put the gradients of their matrices: calls that nothing of the same pass waits for. */
export const matrixGradientsOf = (ctx: StageContext): UnitTargets => ctx.deferred ?? gradientsOf(ctx);

/** How the layers of a model with experts route. */
export function moeConfig(ctx: Pick<StageContext, 'shape'>): MoeConfig {
  const { moe } = ctx.shape.config;
  assert(moe !== null, 'a gate needs a model with experts');
  return moe;
}
