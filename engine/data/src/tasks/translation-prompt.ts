import { DataConfigError } from '../errors.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { languageTag } from './special-tokens.ts';

/** What a model is given to write a text in a language: as in training. */
export interface TranslationPrompt {
  /** What an encoder reads: the text and its end. */
  readonly source: Int32Array;
  /** The decoder's first token; what it writes ends with the end of text. */
  readonly begin: number;
  /** The same for a model without an encoder, in one sequence: the text and the first token. */
  readonly prompt: Int32Array;
}

const tagPattern = /^<2(?<language>.+)>$/u;

/** Languages of which a tokenizer has tags. */
export const taggedLanguages = (tokenizer: Tokenizer): readonly string[] =>
  tokenizer
    .toJson()
    .added_tokens.flatMap(({ content }) => tagPattern.exec(content)?.groups?.['language'] ?? [])
    .sort();

/**
 * A text as a model of tasks was trained to read it.
 *
 * @param to - language that is to be written
 * @throws {DataConfigError} TROUPE_DATA_CONFIG for a language of which the tokenizer has no tag; the message lists those that it has
 */
export async function translationPrompt(
  tokenizer: Tokenizer,
  text: string,
  to: string,
): Promise<TranslationPrompt> {
  const known = taggedLanguages(tokenizer);
  if (!known.includes(to) || tokenizer.endOfText === null)
    throw new DataConfigError(
      `this model writes no ${to}`,
      `it was trained to write ${known.join(', ') || 'no language by tag'}; choose one of those`,
    );
  const ids = await tokenizer.encode(text);
  const [begin = 0] = await tokenizer.encode(languageTag(to));
  return {
    source: Int32Array.of(...ids, tokenizer.endOfText),
    begin,
    prompt: Int32Array.of(...ids, begin),
  };
}
