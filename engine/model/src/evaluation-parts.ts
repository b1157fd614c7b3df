import type { Batch } from './batch.ts';

/** A run of the sequences of an evaluation pass, as a source of tokens is asked for them. */
export interface EvaluationPart {
  readonly first: number;
  readonly count: number;
  /** They have been, or will be, counted where they come first: routed here, and not counted. */
  readonly isRepeated: boolean;
}

export interface EvaluationEnd {
  /** Held-out sequences that count. */
  readonly sequences: number;
  /** Sequences that routing looks at together; 1: each by itself. */
  readonly domain: number;
}

/**
 * What the sequences [first, first + count) of an evaluation are. Where routing looks at several sequences together, the last of them are made up
 * by the first held-out ones: sequence i is i mod `sequences` again, up to a whole domain. Behind that, and where each is routed by itself, comes
 * padding. So a loss depends neither on microbatches nor on replicas.
 */
export function evaluationParts(
  first: number,
  count: number,
  { sequences, domain }: EvaluationEnd,
): readonly EvaluationPart[] {
  const end = first + count;
  const whole = Math.ceil(sequences / domain) * domain;
  const parts: EvaluationPart[] = [];
  const add = (from: number, to: number, at: number, isRepeated: boolean): void => {
    if (to <= from) return;
    const before = parts.at(-1);
    // Padding behind held-out sequences is theirs to give.
    if (before !== undefined && !isRepeated && !before.isRepeated)
      parts[parts.length - 1] = { ...before, count: before.count + to - from };
    else parts.push({ first: at, count: to - from, isRepeated });
  };
  add(first, Math.min(end, sequences), first, false);
  let from = Math.max(first, sequences);
  const again = Math.min(end, whole);
  while (from < again) {
    const at = from % sequences;
    const to = Math.min(again, from + sequences - at);
    add(from, to, at, true);
    from = to;
  }
  const padded = Math.max(first, whole);
  add(padded, end, padded, false);
  return parts;
}

/** The batch of a pass from those of its parts. Sequences that are repeated have no targets. */
export function joinedParts(parts: readonly EvaluationPart[], batches: readonly Batch[]): Batch {
  const [only] = batches;
  if (only !== undefined && batches.length === 1 && parts[0]?.isRepeated === false) return only;
  const length = batches.reduce((sum, { ids_T }) => sum + ids_T.length, 0);
  const [ids_T, firstSeen_T] = [new Int32Array(length), new Int32Array(length)];
  const targets_T = new Int32Array(length).fill(-1);
  const valid_T = new Uint8Array(length);
  let at = 0;
  for (const [index, batch] of batches.entries()) {
    ids_T.set(batch.ids_T, at);
    firstSeen_T.set(batch.firstSeen_T, at);
    valid_T.set(batch.valid_T, at);
    if (parts[index]?.isRepeated === false) targets_T.set(batch.targets_T, at);
    at += batch.ids_T.length;
  }
  return { ids_T, targets_T, firstSeen_T, valid_T };
}
