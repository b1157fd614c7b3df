import type { TokenArray } from '../corpus.ts';
import { GrowingArray } from '../growing-array.ts';

/** Texts of one language as token ids, one after the other, nothing between them. */
export interface TokenTexts {
  readonly tokens: TokenArray;
  /** Where each text starts, and behind the last the number of tokens. */
  readonly starts: Int32Array;
}

export const lengthOf = ({ starts }: TokenTexts, text: number): number =>
  (starts[text + 1] ?? 0) - (starts[text] ?? 0);

/** A copy of `length` tokens of a text, from its token `from`. */
export function tokensOf(
  { tokens, starts }: TokenTexts,
  text: number,
  from: number,
  length: number,
): Int32Array {
  const start = (starts[text] ?? 0) + from;
  return Int32Array.from(tokens.subarray(start, start + length));
}

/**
 * Texts joined one after the other, as many as fit `longest` tokens; a longer one stays as it is.
 *
 * @param chosen - which texts, in their order
 * @param separator - tokens between two texts
 */
export function joinedTexts(
  texts: TokenTexts,
  chosen: Int32Array,
  { separator, longest }: { readonly separator: Int32Array; readonly longest: number },
): TokenTexts {
  const tokens = new GrowingArray((length) => new Int32Array(length));
  const starts: number[] = [];
  for (const text of chosen) {
    const length = lengthOf(texts, text);
    if (length === 0) continue;
    const open = tokens.length - (starts.at(-1) ?? -Infinity);
    if (open + separator.length + length > longest) starts.push(tokens.length);
    else tokens.append(separator);
    tokens.append(tokensOf(texts, text, 0, length));
  }
  return { starts: Int32Array.from([...starts, tokens.length]), tokens: tokens.finish() };
}
