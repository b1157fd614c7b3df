import type { DecodeOptions, Tokenizer } from './tokenizer.ts';

/** Decodes ids as they are generated; text appears once its characters are complete. */
export interface TextStream {
  /** The text that this id completes, often one token's, empty while a character is cut. */
  push(id: number): string;
  /** What is left: U+FFFD for a character that never completed. The stream starts anew. */
  end(): string;
}

/**
 * A token may end in the middle of a character (an emoji is often two or three tokens); printing token by token
 * would show U+FFFD. The stream holds such bytes back; all its pieces together equal `tokenizer.decode` of all ids.
 */
export function textStream(tokenizer: Tokenizer, options: DecodeOptions = {}): TextStream {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return {
    push: (id) =>
      options.skipSpecial === true && tokenizer.isSpecial(id)
        ? ''
        : decoder.decode(tokenizer.bytesOf(id), { stream: true }),
    end: () => decoder.decode(),
  };
}

/** Text of ids at once. */
export function decodeAll(tokenizer: Tokenizer, ids: Iterable<number>, options: DecodeOptions = {}): string {
  const stream = textStream(tokenizer, options);
  let text = '';
  for (const id of ids) text += stream.push(id);
  return text + stream.end();
}
