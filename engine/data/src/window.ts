import type { Batch } from './batch.ts';
import type { PackedTokens } from './corpus.ts';

/** Windows of seqLen+1 tokens with stride seqLen, so that every token but the first is a target once. */
export const numWholeWindows = (numTokens: number, seqLen: number): number =>
  Math.max(0, Math.floor((numTokens - 1) / seqLen));

/** Counts the last, incomplete window too. */
export const numPaddedWindows = (numTokens: number, seqLen: number): number =>
  Math.max(0, Math.ceil((numTokens - 1) / seqLen));

/** Index of the last entry ≤ value in an ascending array whose first entry is ≤ value. */
function lastAtMost(ascending: Int32Array, value: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((ascending[middle] ?? 0) <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Writes one window into sequence `slot` of a batch of padding; what the tokens do not reach stays padding. */
export function fillWindow(
  batch: Batch,
  slot: number,
  packed: PackedTokens,
  window: number,
  seqLen: number,
): void {
  const { tokens, documentStarts } = packed;
  const start = window * seqLen;
  const numTargets = Math.min(seqLen, tokens.length - 1 - start);
  if (numTargets <= 0) return;
  const row = slot * seqLen;
  let document = lastAtMost(documentStarts, start);
  let documentStart = documentStarts[document] ?? 0;
  let nextStart = documentStarts[document + 1] ?? Infinity;
  for (let position = 0; position < numTargets; position++) {
    const at = start + position;
    if (at === nextStart) {
      document++;
      documentStart = nextStart;
      nextStart = documentStarts[document + 1] ?? Infinity;
    }
    batch.ids_T[row + position] = tokens[at] ?? 0;
    batch.targets_T[row + position] = tokens[at + 1] ?? 0;
    batch.firstSeen_T[row + position] = Math.max(0, documentStart - start);
    batch.valid_T[row + position] = 1;
  }
}
