import { assert } from '@troupe/core';
import type { Noised } from './span-corruption.ts';
import { joinedTexts, lengthOf, tokensOf, type TokenTexts } from './token-texts.ts';
import { fits, rowsOf, type Lengths, type WindowShape } from './window-shape.ts';

/** What windows are packed of. Its lengths are known without making it, so that windows are the same in every epoch. */
export interface Items {
  readonly count: number;
  /** The decoder's first token: the tag of the language that it writes. */
  readonly begin: number;
  /** Left out, and why: too long for a window, or too short to be noised. */
  readonly tooLong: number;
  readonly tooShort: number;
  /** Tokens of both sides without begin and ends; the source may turn out shorter, the target never. */
  lengths(item: number): Lengths;
  /** Tokens of both sides, without begin and ends. A pure function of (item, epoch). */
  make(item: number, epoch: number): Noised;
}

/** Sentence pairs: source and target text of each, one after the other. */
export interface PairIndices {
  readonly source: TokenTexts;
  readonly target: TokenTexts;
  readonly pairs: Int32Array;
}

/** Translations. A pair that no window holds, or of which a side has no token, is left out whole: a cut one would be a wrong translation. */
export function pairItems({ source, target, pairs }: PairIndices, begin: number, shape: WindowShape): Items {
  assert(pairs.length % 2 === 0, 'two texts are a pair', { length: pairs.length });
  const lengths = (from: number, to: number): Lengths => ({
    source: lengthOf(source, from),
    target: lengthOf(target, to),
  });
  const kept: number[] = [];
  let [tooLong, tooShort] = [0, 0];
  for (let at = 0; at < pairs.length; at += 2) {
    const [from, to] = [pairs[at] ?? 0, pairs[at + 1] ?? 0];
    if (lengthOf(source, from) === 0 || lengthOf(target, to) === 0) tooShort++;
    else if (fits(shape, rowsOf(shape, lengths(from, to)))) kept.push(from, to);
    else tooLong++;
  }
  const sideOf = (item: number, side: 0 | 1): number => kept[2 * item + side] ?? 0;
  return {
    count: kept.length / 2,
    begin,
    tooLong,
    tooShort,
    lengths: (item) => lengths(sideOf(item, 0), sideOf(item, 1)),
    make: (item) => ({
      source: tokensOf(source, sideOf(item, 0), 0, lengthOf(source, sideOf(item, 0))),
      target: tokensOf(target, sideOf(item, 1), 0, lengthOf(target, sideOf(item, 1))),
    }),
  };
}

/** How pieces of texts become items. */
export interface PieceRule {
  /** Tokens of source (at most) and target of a piece of `length` tokens, ends not counted. */
  lengths(length: number): Lengths;
  make(tokens: Int32Array, item: number, epoch: number): Noised;
  /** Shorter pieces are left out. */
  readonly shortest: number;
  /** Longer ones are cut, whatever the window. */
  readonly longest: number;
  /** Tokens between texts that are joined to pieces as long as possible; null: each text by itself. */
  readonly separator: Int32Array | null;
}

/** The longest piece that a window holds; 0: none. */
function longestPiece(rule: PieceRule, shape: WindowShape): number {
  const most = Math.min(rule.longest, 8 * ((shape.source ?? 0) + shape.target));
  for (let length = most; length >= rule.shortest; length--) {
    if (fits(shape, rowsOf(shape, rule.lengths(length)))) return length;
  }
  return 0;
}

/** Texts, or as many together as a window holds, cut where they are longer; a rest that is too short is left out. */
export function pieceItems(
  texts: TokenTexts,
  {
    chosen,
    begin,
    shape,
  }: { readonly chosen: Int32Array; readonly begin: number; readonly shape: WindowShape },
  rule: PieceRule,
): Items {
  const { separator, shortest } = rule;
  const longest = longestPiece(rule, shape);
  const isJoined = separator !== null && longest > 0;
  const from = isJoined ? joinedTexts(texts, chosen, { separator, longest }) : texts;
  const used = isJoined ? from.starts.subarray(0, -1).keys() : chosen;
  /** Text, first token, tokens of each piece. */
  const pieces: number[] = [];
  let tooShort = 0;
  for (const text of longest === 0 ? [] : used) {
    const length = lengthOf(from, text);
    for (let at = 0; at < length; at += longest) {
      const piece = Math.min(longest, length - at);
      if (piece < shortest) tooShort++;
      else pieces.push(text, at, piece);
    }
  }
  const member = (item: number, at: 0 | 1 | 2): number => pieces[3 * item + at] ?? 0;
  return {
    count: pieces.length / 3,
    begin,
    tooLong: longest === 0 ? chosen.length : 0,
    tooShort,
    lengths: (item) => rule.lengths(member(item, 2)),
    make: (item, epoch) =>
      rule.make(tokensOf(from, member(item, 0), member(item, 1), member(item, 2)), item, epoch),
  };
}
