import type { HostFloats } from '@troupe/core';

/** A part of a shard's state, as it travels: master weights and Adam moments. */
export interface ShardState {
  readonly weights: HostFloats;
  readonly m: HostFloats;
  readonly v: HostFloats;
}
