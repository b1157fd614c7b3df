import type { TokenBatch } from '@troupe/actors';
import { shownValue } from '@troupe/core';
import type { ModelConfig } from '@troupe/spec';

/** Sequences, and what the model reads of them. */
export interface SourceSizes extends Pick<ModelConfig, 'vocab' | 'seqLen' | 'encoder'> {
  readonly count: number;
}

/** What is wrong with the part of a batch that an encoder reads, in words; null: nothing. A model without an encoder has none. */
export function sourceProblem(
  batch: TokenBatch,
  { vocab, seqLen, encoder, count }: SourceSizes,
): string | null {
  if (encoder === null) return null;
  const source: unknown = batch.source;
  if (typeof source !== 'object' || source === null)
    return `returned ${shownValue(source)} as source, expected what the encoder reads: { ids_T, firstSeen_T, endSeen_T, valid_T, crossFirst_T, crossEnd_T }`;
  const { seqLen: length } = encoder;
  const members = source as Readonly<Record<string, unknown>>;
  const fields = [
    ['ids_T', Int32Array, length, 0, vocab - 1],
    ['firstSeen_T', Int32Array, length, 0, length - 1],
    ['endSeen_T', Int32Array, length, 0, length],
    ['valid_T', Uint8Array, length, 0, 1],
    ['crossFirst_T', Int32Array, seqLen, 0, length],
    ['crossEnd_T', Int32Array, seqLen, 0, length],
  ] as const;
  for (const [name, kind, positions, least, most] of fields) {
    const found = members[name];
    const size = count * positions;
    if (!(found instanceof kind) || found.length !== size)
      return `returned ${shownValue(found)} as source.${name}, expected ${kind.name} of ${size} (${count} sequences of ${positions})`;
    const at = found.findIndex((value) => value < least || value > most);
    if (at >= 0) return `returned ${found[at]} as source.${name}[${at}], expected ${least} to ${most}`;
  }
  return null;
}
