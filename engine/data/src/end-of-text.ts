import { TokenizerFormatError } from './errors.ts';
import type { AddedTokenJson } from './tokenizer-json.ts';

/** Spellings of the end-of-text token in published tokenizers, most specific first. */
const endOfTextNames = [
  '<|endoftext|>',
  '<|end_of_text|>',
  '<｜end▁of▁sentence｜>',
  '<|endofsentence|>',
  '</s>',
  '<eos>',
  '[EOS]',
];

/**
 * The id of the token that follows each document. Special tokens first: to Gemma, whose end is `<eos>`, `</s>` is a tag of HTML.
 *
 * @param ids - of the added tokens, by spelling
 * @param file - what messages call the tokenizer
 * @param wanted - its spelling; undefined: the first known one, null when there is none
 * @throws {TokenizerFormatError} TROUPE_DATA_TOKENIZER when no added token is spelled as wanted
 */
export function endOfTextOf(
  tokens: readonly AddedTokenJson[],
  ids: ReadonlyMap<string, number>,
  file: string,
  wanted: string | undefined,
): number | null {
  if (wanted !== undefined) {
    const id = ids.get(wanted);
    if (id !== undefined) return id;
    const known = [...ids.keys()].slice(0, 20).join(', ');
    throw new TokenizerFormatError(`it has no added token ${wanted} (added: ${known || 'none'})`, file);
  }
  const special = new Set(tokens.filter((token) => token.special).map((token) => token.content));
  const known = endOfTextNames.filter((name) => ids.has(name));
  const name = known.find((each) => special.has(each)) ?? known[0];
  return name === undefined ? null : (ids.get(name) ?? null);
}
