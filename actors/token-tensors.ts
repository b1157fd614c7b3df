import { assert } from '@troupe/core';
import type { Batch, GlobalStreams, SourceBatch } from '@troupe/model';

/** A batch in a message: the source of an encoder lies beside the tokens of the decoder. */
export type TokenTensors = Omit<Batch, 'source'> & {
  readonly sourceIds_S?: Int32Array;
  readonly sourceFirst_S?: Int32Array;
  readonly sourceEnd_S?: Int32Array;
  readonly sourceValid_S?: Uint8Array;
  readonly crossFirst_T?: Int32Array;
  readonly crossEnd_T?: Int32Array;
};

const tensorsOfSource = ({
  ids_T,
  firstSeen_T,
  endSeen_T,
  valid_T,
  crossFirst_T,
  crossEnd_T,
}: SourceBatch) => ({
  sourceIds_S: ids_T,
  sourceFirst_S: firstSeen_T,
  sourceEnd_S: endSeen_T,
  sourceValid_S: valid_T,
  crossFirst_T,
  crossEnd_T,
});

/** What travels of a batch of a source of tokens, which may have more fields. */
export const tensorsOf = ({ ids_T, targets_T, firstSeen_T, valid_T, source }: Batch): TokenTensors => ({
  ids_T,
  targets_T,
  firstSeen_T,
  valid_T,
  ...(source === undefined ? {} : tensorsOfSource(source)),
});

function sourceOf(tensors: TokenTensors): SourceBatch | null {
  const { sourceIds_S, sourceFirst_S, sourceEnd_S, sourceValid_S, crossFirst_T, crossEnd_T } = tensors;
  if (sourceIds_S === undefined) return null;
  const isWhole =
    sourceFirst_S !== undefined &&
    sourceEnd_S !== undefined &&
    sourceValid_S !== undefined &&
    crossFirst_T !== undefined &&
    crossEnd_T !== undefined;
  assert(isWhole, 'a source says what is seen of it');
  return {
    ids_T: sourceIds_S,
    firstSeen_T: sourceFirst_S,
    endSeen_T: sourceEnd_S,
    valid_T: sourceValid_S,
    crossFirst_T,
    crossEnd_T,
  };
}

/** The batch again. */
export function batchOf(tensors: TokenTensors): Batch {
  const { ids_T, targets_T, firstSeen_T, valid_T } = tensors;
  const source = sourceOf(tensors);
  return { ids_T, targets_T, firstSeen_T, valid_T, ...(source === null ? {} : { source }) };
}

/** What the sequences of a step count in its sums: targets of the loss, and of each stream tokens and balance domains that are not padding (alone). */
export interface Counted {
  readonly targets: number;
  readonly tokens: number;
  readonly domains: number;
  /** Of the encoder, where there is one. */
  readonly sourceTokens?: number;
  readonly sourceDomains?: number;
}

const fields = ['targets', 'tokens', 'domains', 'sourceTokens', 'sourceDomains'] as const;

/** Of several parts of a batch together. */
export function addCounts(all: readonly Counted[]): Counted {
  const sum = (name: (typeof fields)[number]): number =>
    all.reduce((total, each) => total + (each[name] ?? 0), 0);
  const own = { targets: sum('targets'), tokens: sum('tokens'), domains: sum('domains') };
  const hasSource = all.some(({ sourceTokens }) => sourceTokens !== undefined);
  return hasSource ? { ...own, sourceTokens: sum('sourceTokens'), sourceDomains: sum('sourceDomains') } : own;
}

export const countsEqual = (a: Counted, b: Counted): boolean => fields.every((name) => a[name] === b[name]);

/** The whole batch of a step as balance losses see it. */
export const globalStreams = (
  sequences: number,
  { tokens, domains, sourceTokens, sourceDomains }: Counted,
): GlobalStreams => ({
  decoder: { sequences, tokens, domains },
  encoder:
    sourceTokens === undefined ? null : { sequences, tokens: sourceTokens, domains: sourceDomains ?? 0 },
});
