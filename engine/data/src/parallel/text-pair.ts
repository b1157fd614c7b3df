/** One text in two languages. */
export interface TextPair {
  /** Language of `source`, as the origin of the pairs names it: `en`, `de`, `zh-CN`. */
  readonly from: string;
  readonly to: string;
  /** One line: white space is single spaces. */
  readonly source: string;
  readonly target: string;
  /** What is held out as a whole: a file, a page, a message. The same name in every language that has it. */
  readonly document: string;
}

/** Pairs in the order of their file, read from the start each time. */
export type TextPairs = Iterable<TextPair> | AsyncIterable<TextPair>;

/** A text as one line: runs of white space become one space, none at the ends. */
export const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/** The name of a language pair: `en-de`. */
export const pairName = (from: string, to: string): string => `${from}-${to}`;
