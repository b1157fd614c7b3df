import { denseBatch, type Batch, type SourceBatch } from './batch.ts';

/** Each context in one of `tokens` / `seqLen` sequences, padded behind: nothing looks to the right, and padding is never routed. */
export function windowBatch(contexts: readonly ArrayLike<number>[], tokens: number, seqLen: number): Batch {
  const ids_T = new Int32Array(tokens);
  const valid_T = new Uint8Array(tokens);
  for (const [sequence, context] of contexts.entries()) {
    ids_T.set(context, sequence * seqLen);
    valid_T.fill(1, sequence * seqLen, sequence * seqLen + context.length);
  }
  return { ...denseBatch(ids_T, seqLen), targets_T: new Int32Array(tokens).fill(-1), valid_T };
}

/**
 * Each source in one sequence of an encoder, padded behind; every row of the decoder's sequence sees all of it, and padding sees itself.
 *
 * @param seqLen - positions of a sequence of the decoder; 0 where nothing is decoded
 */
export function windowSource(
  sources: readonly ArrayLike<number>[],
  size: { readonly sequences: number; readonly encoderSeqLen: number; readonly seqLen: number },
): SourceBatch {
  const { sequences, encoderSeqLen: window, seqLen } = size;
  const tokens = sequences * window;
  const ids_T = new Int32Array(tokens);
  const valid_T = new Uint8Array(tokens);
  const firstSeen_T = Int32Array.from({ length: tokens }, (_, at) => at % window);
  const endSeen_T = firstSeen_T.map((position) => position + 1);
  const crossEnd_T = new Int32Array(sequences * seqLen);
  for (const [sequence, source] of sources.entries()) {
    const [first, end] = [sequence * window, sequence * window + source.length];
    ids_T.set(source, first);
    valid_T.fill(1, first, end);
    firstSeen_T.fill(0, first, end);
    endSeen_T.fill(source.length, first, end);
    crossEnd_T.fill(source.length, sequence * seqLen, (sequence + 1) * seqLen);
  }
  return {
    ids_T,
    valid_T,
    firstSeen_T,
    endSeen_T,
    crossFirst_T: new Int32Array(crossEnd_T.length),
    crossEnd_T,
  };
}
