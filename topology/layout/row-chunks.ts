import type { ModelConfig } from '@troupe/spec';

/** What the number of chunks follows from: the same for every gate of a run, so that experts know how many each sends. */
export interface RowChunkSource {
  readonly model: ModelConfig;
  /** Of a microbatch of one replica. */
  readonly sequences: number;
  readonly grains: number;
  /** Tensor peers among which the grains are dealt; 1: each gate sends all. */
  readonly peers: number;
  /** Expert groups that a gate sends to; some of them, or all, are on other workers. */
  readonly groups: number;
  readonly isElsewhere: boolean;
  /** One call of a kernel makes the gradients of an expert: nobody else has it, and no other microbatch adds to them. */
  readonly isFinished: boolean;
  readonly wire: { readonly dtype?: 'f32' | 'bf16'; readonly chunkBytes?: number | 'auto' };
}

/** A message of a millisecond or so. */
const AUTO_BYTES_A_GROUP = 2 * 2 ** 20;

/**
 * What `wire.chunkBytes: auto` means. Where gradients of experts are finished by one call, chunks would take twice their memory: sums of
 * several calls are exact.
 */
const autoBytes = ({ groups, isFinished }: RowChunkSource): number =>
  isFinished ? Number.POSITIVE_INFINITY : groups * AUTO_BYTES_A_GROUP;

/**
 * Chunks in which a gate sends the rows of a microbatch: so many that none has more than `wire.chunkBytes` where a token visits as many groups
 * as it can (of an encoder and a decoder, in that of the longer sequences), and at most one a grain, which is never cut. One where nobody is elsewhere.
 */
export function rowChunks(source: RowChunkSource): number {
  const { model, sequences, grains, peers, groups, isElsewhere, wire } = source;
  if (model.moe === null || !isElsewhere) return 1;
  const own = Math.ceil(grains / peers);
  const longest = Math.max(model.seqLen, model.encoder?.seqLen ?? 0);
  const visits = ((sequences * own) / grains) * longest * Math.min(groups, model.moe.topK);
  const bytes = visits * model.dModel * (wire.dtype === 'bf16' ? 2 : 4);
  const { chunkBytes = 'auto' } = wire;
  const most = chunkBytes === 'auto' ? autoBytes(source) : chunkBytes;
  return Math.min(own, Math.max(1, Math.ceil(bytes / most)));
}
