import { DataConfigError } from '../errors.ts';
import type { ParallelText } from './parallel-text.ts';
import type { TextPair } from './text-pair.ts';

/** Texts of one language, each once, in two splits. */
export interface LanguageTexts {
  readonly train: readonly string[];
  readonly heldOut: readonly string[];
}

/**
 * One side of all pairs in which a language occurs: what a language model or a denoiser of it reads.
 *
 * A text that is held out in any pair is trained in none: two English sentences may have one translation.
 *
 * @throws {DataConfigError} TROUPE_DATA_CONFIG for a language of no pair; the message lists those that are there
 */
export function languageTexts(text: ParallelText, language: string): LanguageTexts {
  if (!text.languages.includes(language))
    throw new DataConfigError(
      `no text in ${language}`,
      `there is ${text.languages.join(', ') || 'none'}; add a source or choose another language`,
    );
  const train = new Set<string>();
  const heldOut = new Set<string>();
  const add = (texts: Set<string>, { from, source, target }: TextPair): void =>
    void texts.add(from === language ? source : target);
  for (const pair of text.pairs.values()) {
    if (pair.from !== language && pair.to !== language) continue;
    for (const each of pair.train) add(train, each);
    for (const each of pair.heldOut) add(heldOut, each);
  }
  return { train: [...train].filter((each) => !heldOut.has(each)), heldOut: [...heldOut] };
}
