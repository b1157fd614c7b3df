import type { Batch, SourceBatch } from './batch.ts';

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

/** Arrays one behind the other. */
function joined<A extends Int32Array | Uint8Array>(arrays: readonly A[], make: (length: number) => A): A {
  const all = make(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const each of arrays) {
    all.set(each, at);
    at += each.length;
  }
  return all;
}

const ints = (length: number): Int32Array => new Int32Array(length);
const bytes = (length: number): Uint8Array => new Uint8Array(length);

function joinedSources(sources: readonly SourceBatch[]): SourceBatch {
  const of = (name: Exclude<keyof SourceBatch, 'valid_T'>): Int32Array =>
    joined(
      sources.map((source) => source[name]),
      ints,
    );
  return {
    ids_T: of('ids_T'),
    firstSeen_T: of('firstSeen_T'),
    endSeen_T: of('endSeen_T'),
    crossFirst_T: of('crossFirst_T'),
    crossEnd_T: of('crossEnd_T'),
    valid_T: joined(
      sources.map(({ valid_T }) => valid_T),
      bytes,
    ),
  };
}

/** The batch of a pass from those of its parts. Sequences that are repeated have no targets. */
export function joinedParts(parts: readonly EvaluationPart[], batches: readonly Batch[]): Batch {
  const [only] = batches;
  if (only !== undefined && batches.length === 1 && parts[0]?.isRepeated === false) return only;
  const targets = batches.map(({ targets_T }, index) =>
    parts[index]?.isRepeated === false ? targets_T : ints(targets_T.length).fill(-1),
  );
  const sources = batches.flatMap(({ source }) => source ?? []);
  return {
    ids_T: joined(
      batches.map(({ ids_T }) => ids_T),
      ints,
    ),
    firstSeen_T: joined(
      batches.map(({ firstSeen_T }) => firstSeen_T),
      ints,
    ),
    targets_T: joined(targets, ints),
    valid_T: joined(
      batches.map(({ valid_T }) => valid_T),
      bytes,
    ),
    ...(sources.length === 0 ? {} : { source: joinedSources(sources) }),
  };
}
