import { corruptSpans, spanCounts, type Noised, type NoiseKey } from './span-corruption.ts';
import type { PieceRule } from './items.ts';
import { infill } from './text-infilling.ts';
import { deleteTokens, rotate, shuffleSentences } from './token-noise.ts';

/** What denoising does to a text: spans (T5) alone, or any others one after the other (BART). */
export const noises = ['spans', 'infill', 'delete', 'rotate', 'shuffle'] as const;
export type Noise = (typeof noises)[number];

/** Ids that noise needs. */
export interface NoiseIds {
  /** The first of the sentinels of spans. */
  readonly sentinel: number;
  readonly sentinels: number;
  readonly mask: number;
  /** Tokens between two texts: a line feed. */
  readonly separator: Int32Array;
  /** Whether a token ends a sentence. */
  closes(id: number): boolean;
}

/** Texts of fewer tokens are not worth a segment of a window. */
const SHORTEST = 4;

/** The longest text that has no more spans than there are sentinels. */
function longestOf(sentinels: number): number {
  let length = SHORTEST;
  while (spanCounts(length + 1).spans <= sentinels) length++;
  return length;
}

/** What each noise of BART makes of a text. */
const applied: Readonly<
  Record<Exclude<Noise, 'spans'>, (tokens: Int32Array, ids: NoiseIds, key: NoiseKey) => Int32Array>
> = {
  infill: (tokens, ids, key) => infill(tokens, ids.mask, key),
  delete: (tokens, _ids, key) => deleteTokens(tokens, key),
  rotate: (tokens, _ids, key) => rotate(tokens, key),
  shuffle: (tokens, ids, key) => shuffleSentences(tokens, (id) => ids.closes(id), key),
};

/**
 * Span corruption: what was taken out is written, after its sentinels.
 *
 * Texts are joined as in T5: one of fewer than 30 tokens has a single span, and that is its end in every epoch.
 */
const spansRule = (ids: NoiseIds, place: Pick<NoiseKey, 'seed' | 'list'>): PieceRule => ({
  shortest: SHORTEST,
  longest: longestOf(ids.sentinels),
  separator: ids.separator,
  lengths: (length) => {
    const { noise, spans } = spanCounts(length);
    return { source: length - noise + spans, target: noise + spans };
  },
  make: (tokens, item, epoch) => corruptSpans(tokens, ids.sentinel, { ...place, item, epoch }),
});

/** Denoising as of BART: the whole text is written. None of its noises makes a text longer. */
const wholeRule = (
  list: readonly Exclude<Noise, 'spans'>[],
  ids: NoiseIds,
  place: Pick<NoiseKey, 'seed' | 'list'>,
): PieceRule => ({
  shortest: SHORTEST,
  longest: Infinity,
  separator: null,
  lengths: (length) => ({ source: length, target: length }),
  make: (tokens, item, epoch): Noised => ({
    source: list.reduce((text, noise) => applied[noise](text, ids, { ...place, item, epoch }), tokens),
    target: tokens,
  }),
});

/** How texts are noised, and what is to be written. `list` is either `spans` alone or has no `spans`. */
export function denoising(
  list: readonly Noise[],
  ids: NoiseIds,
  place: Pick<NoiseKey, 'seed' | 'list'>,
): PieceRule {
  const others = list.filter((noise) => noise !== 'spans');
  return others.length < list.length ? spansRule(ids, place) : wholeRule(others, ids, place);
}

/** A language model: nothing is read, the text is written. */
export const plainText: PieceRule = {
  shortest: 1,
  longest: Infinity,
  separator: null,
  lengths: (length) => ({ source: 0, target: length }),
  make: (tokens) => ({ source: new Int32Array(0), target: tokens }),
};
