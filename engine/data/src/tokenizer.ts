import type { TokenizerJson } from './tokenizer-json.ts';

export interface DecodeOptions {
  /** Leave special tokens (end of text) out. Default false. */
  readonly skipSpecial?: boolean;
}

/** Text to token ids and back. Immutable: two tokenizers of equal fingerprint do the same. */
export interface Tokenizer {
  /** Largest id + 1: what a model's vocabulary must hold at least. */
  readonly vocabSize: number;
  /** The id that follows each document, null when the tokenizer has none. */
  readonly endOfText: number | null;
  /** sha256, hex, of the canonical form of {@link toJson}. */
  readonly fingerprint: string;
  /**
   * Ids of a text, without any template's begin or end tokens. The spelling of an added token (`<|endoftext|>`) becomes that token.
   */
  encode(text: string): Promise<Int32Array>;
  /** Ids of many texts, each by itself: one call is faster than many where another process encodes. */
  encodeAll(texts: readonly string[]): Promise<readonly Int32Array[]>;
  /** Text of ids; bytes that form no character become U+FFFD. An unknown id has no text. */
  decode(ids: Iterable<number>, options?: DecodeOptions): Promise<string>;
  isSpecial(id: number): boolean;
  /** The `tokenizer.json` that Hugging Face tokenizers loads. Do not modify. */
  toJson(): TokenizerJson;
}
