import type { Floats, Ints } from '@troupe/kernel-set';

/** The output of the last block of an encoder, normed: what all blocks of the decoder read. S = sequences · encoder.seqLen rows. */
export interface MemoryRows {
  readonly rows_SD: Floats;
  /** A chain over the blocks of the decoder, the last one first; null at inference. */
  readonly gradient_SD: Floats | null;
  /** Of the norm, where this chunk makes it. */
  readonly stats: Floats;
  readonly tokens: number;
  /** Rows of a sequence. */
  readonly seqLen: number;
  readonly grainStarts: Ints;
}
