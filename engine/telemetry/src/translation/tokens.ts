/** How a text is cut before its words are counted: mteval-v13a's rules, or single characters. */
export type BleuTokens = '13a' | 'char';

/** White space as Python has it, which sacrebleu cuts at, but for its four separators of files and records, which texts do not have. */
const space = /(?:(?!\ufeff)[\s\u0085])+/u;

/** The parts between white space. */
export const partsOf = (text: string): readonly string[] => text.split(space).filter((part) => part !== '');

/** mteval-v13a: punctuation and symbols of ASCII stand alone; a full stop or comma between digits and a hyphen not behind a digit do not. */
const rules: readonly (readonly [RegExp, string])[] = [
  [/([{-~[-` -&(-+:-@/])/gu, ' $1 '],
  [/([^0-9])([.,])/gu, '$1 $2 '],
  [/([.,])([^0-9])/gu, ' $1 $2'],
  [/([0-9])(-)/gu, '$1 $2 '],
];

const entities: readonly (readonly [string, string])[] = [
  ['&quot;', '"'],
  ['&amp;', '&'],
  ['&lt;', '<'],
  ['&gt;', '>'],
];

function tokens13a(text: string): readonly string[] {
  let line = text.replaceAll('<skipped>', '').replaceAll('-\n', '').replaceAll('\n', ' ');
  for (const [entity, character] of entities) line = line.replaceAll(entity, character);
  line = ` ${line} `;
  for (const [pattern, replacement] of rules) line = line.replace(pattern, replacement);
  return partsOf(line);
}

/** Code points without white space. */
export const charactersOf = (text: string): readonly string[] =>
  partsOf(text).flatMap((part) => Array.from(part));

/**
 * The tokens of a text, as sacrebleu cuts them.
 *
 * @see Post 2018, "A Call for Clarity in Reporting BLEU Scores", arXiv:1804.08771; sacrebleu 2.6.0, `tokenizer_13a.py`, `tokenizer_char.py`
 */
export const bleuTokens = (text: string, kind: BleuTokens): readonly string[] =>
  kind === 'char' ? charactersOf(text) : tokens13a(text);

/** Characters for languages that put no space between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese; else words. */
export const bleuTokensOf = (language: string): BleuTokens =>
  /^(?:zh|ja|th|lo|km|my)(?:[-_]|$)/i.test(language) ? 'char' : '13a';
