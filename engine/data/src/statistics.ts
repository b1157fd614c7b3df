import { assert } from '@troupe/core';
import type { TokenArray } from './corpus.ts';

function countsOf(tokens: TokenArray, vocab: number): Float64Array {
  const counts = new Float64Array(vocab);
  for (let i = 0; i < tokens.length; i++) {
    const id = tokens[i] ?? 0;
    assert(id >= 0 && id < vocab, 'token ids lie inside the vocabulary', { id, vocab });
    counts[id] = (counts[id] ?? 0) + 1;
  }
  return counts;
}

const largestOf = (tokens: TokenArray): number => {
  let largest = 0;
  for (let i = 0; i < tokens.length; i++) largest = Math.max(largest, tokens[i] ?? 0);
  return largest;
};

/** Entropy, nats a token, of the tokens' own frequencies: what a model that ignores all context reaches. 0 for none. */
export function unigramEntropy(tokens: TokenArray): number {
  let entropy = 0;
  for (const count of countsOf(tokens, largestOf(tokens) + 1)) {
    const p = count / tokens.length;
    if (p > 0) entropy -= p * Math.log(p);
  }
  return entropy;
}

/** Cross entropy, nats a token, of `heldOut` under the add-one smoothed frequencies of `train`. NaN for no tokens. */
export function unigramCrossEntropy(train: TokenArray, heldOut: TokenArray, vocab: number): number {
  const counts = countsOf(train, vocab);
  let sum = 0;
  for (let i = 0; i < heldOut.length; i++)
    sum -= Math.log(((counts[heldOut[i] ?? 0] ?? 0) + 1) / (train.length + vocab));
  return sum / heldOut.length;
}

/** Pairs that are looked at together: their second tokens are in memory, whatever the length of the corpus. */
const PAIRS_AT_ONCE = 1 << 24;

/** How often each token has a successor. */
function firstCounts(tokens: TokenArray, vocab: number): Float64Array {
  const counts = new Float64Array(vocab);
  for (let i = 0; i + 1 < tokens.length; i++) counts[tokens[i] ?? 0] = (counts[tokens[i] ?? 0] ?? 0) + 1;
  return counts;
}

/** Ranges of token ids, each with about as many pairs as are looked at together. */
function* ranges(
  counts: Float64Array,
  pairsAtOnce: number,
): Generator<{ readonly from: number; readonly to: number }> {
  let [from, pairs] = [0, 0];
  for (const [id, count] of counts.entries()) {
    if (id > from && pairs + count > pairsAtOnce) {
      yield { from, to: id };
      [from, pairs] = [id, 0];
    }
    pairs += count;
  }
  yield { from, to: counts.length };
}

/** What follows the tokens `from` … `to-1`, in order: those of token a at `next[starts[a-from]] … next[starts[a-from+1]-1]`. */
function successors(
  tokens: TokenArray,
  counts: Float64Array,
  { from, to }: { readonly from: number; readonly to: number },
): { readonly starts: Float64Array; readonly next: TokenArray } {
  const starts = new Float64Array(to - from + 1);
  for (let id = from; id < to; id++) starts[id - from + 1] = (starts[id - from] ?? 0) + (counts[id] ?? 0);
  const fill = starts.slice();
  const numPairs = starts.at(-1) ?? 0;
  const next = tokens instanceof Uint16Array ? new Uint16Array(numPairs) : new Int32Array(numPairs);
  for (let i = 0; i + 1 < tokens.length; i++) {
    const place = (tokens[i] ?? 0) - from;
    if (place < 0 || place >= to - from) continue;
    const at = fill[place] ?? 0;
    next[at] = tokens[i + 1] ?? 0;
    fill[place] = at + 1;
  }
  return { starts, next };
}

/**
 * Cross entropy, nats a token, of `heldOut` under the bigrams of `train`: what a model that sees one token reaches.
 *
 * Interpolated after Witten and Bell: p(b|a) = (c(a,b) + t(a)·p(b)) / (c(a) + t(a)), t(a) the number of different
 * successors of a and p(b) the add-one unigram. NaN when `heldOut` has fewer than two tokens.
 *
 * @see Witten and Bell 1991, "The zero-frequency problem", method C
 */
export function bigramCrossEntropy(
  train: TokenArray,
  heldOut: TokenArray,
  vocab: number,
  pairsAtOnce = PAIRS_AT_ONCE,
): number {
  const unigrams = countsOf(train, vocab);
  countsOf(heldOut, vocab);
  const [seenCounts, wantedCounts] = [firstCounts(train, vocab), firstCounts(heldOut, vocab)];
  const counts = new Float64Array(vocab);
  let sum = 0;
  for (const range of ranges(seenCounts, pairsAtOnce)) {
    const seen = successors(train, seenCounts, range);
    const wanted = successors(heldOut, wantedCounts, range);
    for (let place = 0; place < range.to - range.from; place++) {
      const asked = wanted.next.subarray(wanted.starts[place], wanted.starts[place + 1]);
      if (asked.length === 0) continue;
      const followers = seen.next.subarray(seen.starts[place], seen.starts[place + 1]);
      let numTypes = 0;
      for (const b of followers) {
        if (counts[b] === 0) numTypes++;
        counts[b] = (counts[b] ?? 0) + 1;
      }
      for (const b of asked) {
        const unigram = ((unigrams[b] ?? 0) + 1) / (train.length + vocab);
        const p =
          followers.length === 0
            ? unigram
            : ((counts[b] ?? 0) + numTypes * unigram) / (followers.length + numTypes);
        sum -= Math.log(p);
      }
      for (const b of followers) counts[b] = 0;
    }
  }
  return sum / (heldOut.length - 1);
}
