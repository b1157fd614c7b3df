import type { ModelConfig } from '@troupe/spec';

/** What the number of chunks follows from: the same for every gate of a run, so that experts know how many each sends. */
export interface RowChunkSource {
  readonly model: ModelConfig;
  /** Of a microbatch of one replica. */
  readonly sequences: number;
  readonly grains: number;
  /** Expert groups that a gate sends to; some of them, or all, are on other workers. */
  readonly groups: number;
  readonly isElsewhere: boolean;
  readonly wire: { readonly dtype?: 'f32' | 'bf16'; readonly chunkBytes?: number };
}

/**
 * Chunks in which a gate sends the rows of a microbatch: so many that none has more than `wire.chunkBytes` where a token visits as many groups
 * as it can, and at most one a grain, which is never cut. One where nobody is elsewhere.
 */
export function rowChunks({ model, sequences, grains, groups, isElsewhere, wire }: RowChunkSource): number {
  if (model.moe === null || !isElsewhere || wire.chunkBytes === undefined) return 1;
  const visits = sequences * model.seqLen * Math.min(groups, model.moe.topK);
  const bytes = visits * model.dModel * (wire.dtype === 'bf16' ? 2 : 4);
  return Math.min(grains, Math.ceil(bytes / wire.chunkBytes));
}
