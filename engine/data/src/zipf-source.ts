import { prng } from '@troupe/core';
import type { Batch, SourceBatch } from './batch.ts';

/** Room for what an encoder reads beside a batch: padding, which sees itself, and of which nothing is seen. */
export function emptySource({ sequences, ids_T }: Batch, length: number): SourceBatch {
  const size = sequences * length;
  const firstSeen_T = Int32Array.from({ length: size }, (_, row) => row % length);
  return {
    ids_T: new Int32Array(size),
    firstSeen_T,
    endSeen_T: firstSeen_T.map((own) => own + 1),
    valid_T: new Uint8Array(size),
    crossFirst_T: new Int32Array(ids_T.length),
    crossEnd_T: new Int32Array(ids_T.length),
  };
}

/** One synthetic sequence, and where it lies in its batch. */
export interface SourceSlot {
  readonly slot: number;
  /** Positions of the encoder's window, and of the decoder's. */
  readonly length: number;
  readonly seqLen: number;
  /** Of the draws: which sequence this is. */
  readonly key: { readonly seed: number; readonly step: number; readonly sequence: number };
  readonly idAt: (share: number) => number;
}

/**
 * Two texts in the encoder's window of a sequence, and padding behind; one part of the decoder's sequence sees the first, the other the second. All
 * lengths are drawn, so that synthetic sequences look as real ones do to whoever must not confuse texts.
 */
export function fillSource(batch: Batch, source: SourceBatch, slot: SourceSlot): void {
  const { length, seqLen, idAt } = slot;
  const draws = prng({ purpose: 'data.zipf.source', ...slot.key });
  const end = length - draws.integer(length, Math.max(1, length >> 2));
  const middle = draws.integer(length + 1, end);
  const turn = draws.integer(length + 2, seqLen);
  const [rows, row] = [slot.slot * length, slot.slot * seqLen];
  for (let at = 0; at < end; at++) {
    source.ids_T[rows + at] = idAt(draws.uniform(at));
    source.firstSeen_T[rows + at] = at < middle ? 0 : middle;
    source.endSeen_T[rows + at] = at < middle ? middle : end;
    source.valid_T[rows + at] = 1;
  }
  for (let at = 0; at < seqLen; at++) {
    source.crossFirst_T[row + at] = at < turn ? 0 : middle;
    source.crossEnd_T[row + at] = at < turn ? middle : end;
    if (at >= turn) batch.firstSeen_T[row + at] = turn;
  }
}
