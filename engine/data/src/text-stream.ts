import type { DecodeOptions, Tokenizer } from './tokenizer.ts';

/** Decodes ids as they are generated; text appears once its characters are complete. Wait for one call before the next. */
export interface TextStream {
  /** The text that this id completes, often one token's, empty while a character is cut. */
  push(id: number): Promise<string>;
  /** What is left: U+FFFD for a character that never completed. The stream is as new afterwards. */
  end(): Promise<string>;
}

/**
 * A token may end in the middle of a character (an emoji is often two or three tokens), and what a token spells may depend on the
 * one before it; printing token by token would show U+FFFD and wrong spaces. The stream decodes the last few ids together and
 * holds back what may still change; all its pieces together equal `tokenizer.decode` of all ids.
 */
export function textStream(tokenizer: Tokenizer, options: DecodeOptions = {}): TextStream {
  /** Ids whose text was given out, the last piece only: what follows is read in their light. */
  let said: readonly number[] = [];
  let held: readonly number[] = [];
  const release = async (complete: boolean): Promise<string> => {
    const [before, now] = [
      await tokenizer.decode(said, options),
      await tokenizer.decode([...said, ...held], options),
    ];
    if (!complete && (now.length <= before.length || now.endsWith('\ufffd'))) return '';
    said = held;
    held = [];
    return now.slice(before.length);
  };
  return {
    push: (id) => {
      held = [...held, id];
      return release(false);
    },
    end: async () => {
      const rest = held.length === 0 ? '' : await release(true);
      said = [];
      return rest;
    },
  };
}
