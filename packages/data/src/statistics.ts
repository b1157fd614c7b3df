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

/** What follows each token: `next[starts[a]] … next[starts[a+1]-1]`. */
function successors(
  tokens: TokenArray,
  vocab: number,
): { readonly starts: Int32Array; readonly next: Int32Array } {
  const starts = new Int32Array(vocab + 1);
  const numPairs = Math.max(0, tokens.length - 1);
  for (let i = 0; i < numPairs; i++) starts[(tokens[i] ?? 0) + 1] = (starts[(tokens[i] ?? 0) + 1] ?? 0) + 1;
  for (let id = 0; id < vocab; id++) starts[id + 1] = (starts[id + 1] ?? 0) + (starts[id] ?? 0);
  const fill = starts.slice();
  const next = new Int32Array(numPairs);
  for (let i = 0; i < numPairs; i++) {
    const id = tokens[i] ?? 0;
    const at = fill[id] ?? 0;
    next[at] = tokens[i + 1] ?? 0;
    fill[id] = at + 1;
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
export function bigramCrossEntropy(train: TokenArray, heldOut: TokenArray, vocab: number): number {
  const unigrams = countsOf(train, vocab);
  countsOf(heldOut, vocab);
  const seen = successors(train, vocab);
  const wanted = successors(heldOut, vocab);
  const counts = new Float64Array(vocab);
  let sum = 0;
  for (let a = 0; a < vocab; a++) {
    const asked = wanted.next.subarray(wanted.starts[a], wanted.starts[a + 1]);
    if (asked.length === 0) continue;
    const followers = seen.next.subarray(seen.starts[a], seen.starts[a + 1]);
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
  return sum / (heldOut.length - 1);
}
