import { bleuTokens, bleuTokensOf } from './tokens.ts';

export interface WordShares {
  /** Words of the outputs that occur in texts of the language: how much of it is that language at all. */
  readonly known: number;
  /** Words of the outputs that stand in their own source: how much was copied. */
  readonly copied: number;
  /** Of all outputs. */
  readonly numWords: number;
}

/** Words with a letter, in small letters; characters for languages without spaces. */
const wordsOf = (text: string, language: string): readonly string[] =>
  bleuTokens(text.toLowerCase(), bleuTokensOf(language)).filter((word) => /\p{L}/u.test(word));

/**
 * Whether outputs are in the language that was asked for, or copies: shares of their words, 0 to 1; 0 without a word.
 *
 * @param outputs - in `language`
 * @param sources - what each is a translation of
 * @param texts - of the language: the references, or more
 */
export function wordShares(
  outputs: readonly string[],
  sources: readonly string[],
  { language, texts }: { readonly language: string; readonly texts: readonly string[] },
): WordShares {
  const known = new Set(texts.flatMap((text) => wordsOf(text, language)));
  let [numWords, numKnown, numCopied] = [0, 0, 0];
  for (const [index, output] of outputs.entries()) {
    const source = new Set(wordsOf(sources[index] ?? '', language));
    for (const word of wordsOf(output, language)) {
      numWords++;
      if (known.has(word)) numKnown++;
      if (source.has(word)) numCopied++;
    }
  }
  const share = (count: number): number => (numWords === 0 ? 0 : count / numWords);
  return { known: share(numKnown), copied: share(numCopied), numWords };
}
