import { TokenizerFeatureError } from './errors.ts';
import type { Normalizer } from './normalizer.ts';
import type { AddedTokenJson } from './tokenizer-json.ts';

/** A stretch of ordinary text (normalised), or one added token. */
export type Segment = string | number;

type Cut = (text: string) => Segment[];

/** Leftmost match first, the longest of those that start there. */
function cutAt(tokens: readonly (readonly [content: string, id: number])[]): Cut {
  if (tokens.length === 0) return (text) => [text];
  const longestFirst = [...tokens].sort(([a], [b]) => b.length - a.length);
  const ids = new Map(tokens);
  const pattern = longestFirst
    .map(([content]) => content.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&'))
    .join('|');
  const regex = new RegExp(pattern, 'gu');
  return (text) => {
    const segments: Segment[] = [];
    let end = 0;
    for (const match of text.matchAll(regex)) {
      if (match.index > end) segments.push(text.slice(end, match.index));
      segments.push(ids.get(match[0]) ?? 0);
      end = match.index + match[0].length;
    }
    if (end < text.length) segments.push(text.slice(end));
    return segments;
  };
}

/**
 * Splits a text at added tokens: those marked `normalized: false` in the raw text, then the rest after normalising.
 *
 * @throws {TokenizerFeatureError} TROUPE_DATA_TOKENIZER_FEATURE for lstrip, rstrip, single_word
 */
export function segmenter(tokens: readonly AddedTokenJson[], normalize: Normalizer): Cut {
  for (const token of tokens) {
    for (const flag of ['lstrip', 'rstrip', 'single_word'] as const)
      if (token[flag]) throw new TokenizerFeatureError(`${flag} on the added token ${token.content}`);
  }
  const named = tokens.filter((token) => token.content !== '');
  const raw = named.filter((token) => !token.normalized);
  const normal = named.filter((token) => token.normalized);
  const cutRaw = cutAt(raw.map((token) => [token.content, token.id] as const));
  const cutNormal = cutAt(normal.map((token) => [normalize(token.content), token.id] as const));
  return (text) =>
    cutRaw(text).flatMap((segment) =>
      typeof segment === 'string' ? cutNormal(normalize(segment)) : [segment],
    );
}
