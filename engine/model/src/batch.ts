import type { Bytes, Device, Ints } from '@troupe/kernel-set';
import { BatchLengthError } from './errors.ts';
import { tokensOf, type StageShape } from './stage-shape.ts';

/**
 * What the encoder reads of one microbatch, S = sequences · encoder.seqLen each, and what of it each token of the decoder sees. A sequence may hold
 * several texts: rows see their own.
 */
export interface SourceBatch {
  readonly ids_T: Int32Array;
  /** Positions in its sequence that a row sees: from here … */
  readonly firstSeen_T: Int32Array;
  /** … to before here; padding sees itself. */
  readonly endSeen_T: Int32Array;
  readonly valid_T: Uint8Array;
  /** Of each token of the decoder: the same, in the source of its sequence. Where both are equal it sees nothing. */
  readonly crossFirst_T: Int32Array;
  readonly crossEnd_T: Int32Array;
}

/** The tokens of one microbatch, T = sequences · seqLen each, sequence by sequence. */
export interface Batch {
  readonly ids_T: Int32Array;
  /** The next token at each position; -1 where none counts (padding, end of a document). */
  readonly targets_T: Int32Array;
  /** Position in its sequence of the first key a row may see: where its document starts, else 0. */
  readonly firstSeen_T: Int32Array;
  /** 1 for a token, 0 for padding, which is never routed and counts in no loss. */
  readonly valid_T: Uint8Array;
  /** Given where the model has an encoder. */
  readonly source?: SourceBatch;
}

/** Which rows of keys a row sees, by position in its sequence. */
export interface SeenRange {
  readonly firstSeen_T: Ints;
  readonly endSeen_T: Ints;
}

/** One stream of a {@link Batch} on a device. */
export interface DeviceBatch {
  readonly ids_T: Ints;
  /** -1 throughout in an encoder. */
  readonly targets_T: Ints;
  readonly firstSeen_T: Ints;
  /** Absent: a row sees up to itself. */
  readonly endSeen_T?: Ints;
  readonly valid_T: Bytes;
  /** What a token of a decoder sees of its memory. */
  readonly cross?: SeenRange;
}

/** Brings the decoder's stream of a batch to a device; its arrays must not change afterwards. */
export const uploadBatch = (
  device: Device,
  { ids_T, targets_T, firstSeen_T, valid_T, source }: Batch,
): DeviceBatch => ({
  ids_T: device.upload(ids_T),
  targets_T: device.upload(targets_T),
  firstSeen_T: device.upload(firstSeen_T),
  valid_T: device.upload(valid_T),
  ...(source === undefined
    ? {}
    : {
        cross: {
          firstSeen_T: device.upload(source.crossFirst_T),
          endSeen_T: device.upload(source.crossEnd_T),
        },
      }),
});

/** The same of what the encoder reads. */
export const uploadSource = (
  device: Device,
  { ids_T, firstSeen_T, endSeen_T, valid_T }: SourceBatch,
): DeviceBatch => ({
  ids_T: device.upload(ids_T),
  targets_T: device.upload(new Int32Array(ids_T.length).fill(-1)),
  firstSeen_T: device.upload(firstSeen_T),
  endSeen_T: device.upload(endSeen_T),
  valid_T: device.upload(valid_T),
});

/** @throws {BatchLengthError} TROUPE_MODEL_BATCH when an array does not hold T values */
export function checkBatch(shape: StageShape, batch: Batch | DeviceBatch): void {
  const tokens = tokensOf(shape);
  for (const name of ['ids_T', 'targets_T', 'firstSeen_T', 'valid_T'] as const) {
    if (batch[name].length !== tokens) throw new BatchLengthError(name, batch[name].length, tokens);
  }
}

/** Number of targets that count towards the loss. */
export function numValidTargets(targets_T: Int32Array): number {
  let count = 0;
  for (const target of targets_T) if (target >= 0) count++;
  return count;
}

/** Number of tokens that are not padding. */
export function numValidTokens(valid_T: Uint8Array): number {
  let count = 0;
  for (const valid of valid_T) if (valid !== 0) count++;
  return count;
}

/** Number of runs of `tokens` tokens, from the first on, that are not padding alone. */
export function numUsedRuns(valid_T: Uint8Array, tokens: number): number {
  let count = 0;
  for (let first = 0; first < valid_T.length; first += tokens)
    if (valid_T.subarray(first, first + tokens).includes(1)) count++;
  return count;
}

/** A batch of whole sequences without padding: every position predicts the next, the last one nothing. */
export function denseBatch(ids_T: Int32Array, seqLen: number): Batch {
  const targets_T = ids_T.map((_, token) => ((token + 1) % seqLen === 0 ? -1 : (ids_T[token + 1] ?? -1)));
  return {
    ids_T,
    targets_T,
    firstSeen_T: new Int32Array(ids_T.length),
    valid_T: new Uint8Array(ids_T.length).fill(1),
  };
}
