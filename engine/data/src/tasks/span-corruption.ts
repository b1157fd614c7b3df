import { assert } from '@troupe/core';
import { smallestDraws } from './smallest-draws.ts';

/** What draws of noise belong to: the same item of the same epoch is always noised alike. */
export interface NoiseKey {
  readonly seed: number;
  readonly epoch: number;
  readonly item: number;
  /** Which list the item is of. */
  readonly list: number;
}

/** What a model reads, and what it is to write. */
export interface Noised {
  readonly source: Int32Array;
  readonly target: Int32Array;
}

export const drawsOf = ({ seed, epoch, item, list }: NoiseKey, purpose: string) => ({
  seed,
  purpose,
  step: epoch,
  sequence: item,
  layer: list,
});

/** 15 % of a text is noise, in spans of three tokens on average. */
const NOISE_PERCENT = 15;
const MEAN_SPAN = 3;

/** Noise tokens and spans of a text of `length` ≥ 2 tokens. Integers only, halves up. */
export function spanCounts(length: number): { readonly noise: number; readonly spans: number } {
  assert(Number.isInteger(length) && length >= 2, 'a text of two tokens or more', { length });
  const noise = Math.min(length - 1, Math.max(1, Math.floor((NOISE_PERCENT * length + 50) / 100)));
  const spans = Math.max(1, Math.floor((2 * noise + MEAN_SPAN) / (2 * MEAN_SPAN)));
  return { noise, spans };
}

/** `total` in `parts` lengths ≥ 1, every way as likely as every other. */
export function cut(total: number, parts: number, key: NoiseKey, purpose: string): readonly number[] {
  const points = [...smallestDraws(total - 1, parts - 1, drawsOf(key, purpose))].map((place) => place + 1);
  return [...points, total].map((point, index) => point - (index === 0 ? 0 : (points[index - 1] ?? 0)));
}

/**
 * Span corruption of T5: spans of a text are replaced by sentinels, and written out after the same sentinels.
 *
 * Kept and noise spans alternate and a kept one is first, so the first token is never noise and the last always is: T5's own bias.
 *
 * @param sentinel - id of the first sentinel; the next spans have the next ids
 * @returns n - noise + spans tokens to read and noise + spans to write, ends not counted
 * @see Raffel et al. 2019, arXiv:1910.10683, §3.1.4
 */
export function corruptSpans(tokens: Int32Array, sentinel: number, key: NoiseKey): Noised {
  const { noise, spans } = spanCounts(tokens.length);
  const noiseLengths = cut(noise, spans, key, 'data.spans.noise');
  const keepLengths = cut(tokens.length - noise, spans, key, 'data.spans.keep');
  const source = new Int32Array(tokens.length - noise + spans);
  const target = new Int32Array(noise + spans);
  let [at, read, written] = [0, 0, 0];
  for (let span = 0; span < spans; span++) {
    const [kept, noised] = [keepLengths[span] ?? 0, noiseLengths[span] ?? 0];
    source.set(tokens.subarray(at, at + kept), read);
    source[read + kept] = sentinel + span;
    target[written] = sentinel + span;
    target.set(tokens.subarray(at + kept, at + kept + noised), written + 1);
    at += kept + noised;
    read += kept + 1;
    written += noised + 1;
  }
  return { source, target };
}
