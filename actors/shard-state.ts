import type { HostFloats } from '@troupe/core';

/** A part of a shard's state, as it travels: master weights, and of its optimizer's two arrays what belongs to them (`OptimizerState`). */
export interface ShardState {
  readonly weights: HostFloats;
  readonly first: HostFloats;
  readonly second: HostFloats;
}
