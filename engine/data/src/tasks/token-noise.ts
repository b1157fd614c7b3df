import { prng } from '@troupe/core';
import { smallestDraws } from './smallest-draws.ts';
import { drawsOf, type NoiseKey } from './span-corruption.ts';

/** Share of tokens that deletion takes. */
const DELETED_PERCENT = 15;

/** Leaves 15 % of the tokens out (halves up), without a trace; one stays. */
export function deleteTokens(tokens: Int32Array, key: NoiseKey): Int32Array {
  const deleted = Math.min(tokens.length - 1, Math.floor((DELETED_PERCENT * tokens.length + 50) / 100));
  const gone = new Set(smallestDraws(tokens.length, Math.max(0, deleted), drawsOf(key, 'data.delete')));
  return tokens.filter((_, place) => !gone.has(place));
}

/** Begins the text at a token that is drawn, and appends what came before it. */
export function rotate(tokens: Int32Array, key: NoiseKey): Int32Array {
  if (tokens.length === 0) return tokens;
  const first = prng(drawsOf(key, 'data.rotate')).integer(0, tokens.length);
  const out = new Int32Array(tokens.length);
  out.set(tokens.subarray(first));
  out.set(tokens.subarray(0, first), tokens.length - first);
  return out;
}

/**
 * Puts sentences in a drawn order; a sentence ends behind a token that closes one.
 *
 * @param closes - whether an id ends a sentence
 */
export function shuffleSentences(
  tokens: Int32Array,
  closes: (id: number) => boolean,
  key: NoiseKey,
): Int32Array {
  const sentences: Int32Array[] = [];
  let start = 0;
  for (const [place, id] of tokens.entries())
    if (closes(id) || place === tokens.length - 1) {
      sentences.push(tokens.subarray(start, place + 1));
      start = place + 1;
    }
  const draws = prng(drawsOf(key, 'data.shuffle'));
  const order = sentences
    .map((sentence, place) => ({ sentence, place, draw: draws.bits(place) }))
    .sort((a, b) => a.draw - b.draw || a.place - b.place);
  const out = new Int32Array(tokens.length);
  let at = 0;
  for (const { sentence } of order) {
    out.set(sentence, at);
    at += sentence.length;
  }
  return out;
}
