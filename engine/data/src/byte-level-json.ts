import type { TokenizerJson } from './tokenizer-json.ts';

export const END_OF_TEXT = '<|endoftext|>';

/** The tokenizer.json of a byte-level BPE: GPT-2's form with the given vocabulary. */
export function byteLevelJson(
  vocab: Readonly<Record<string, number>>,
  merges: readonly (readonly [string, string])[],
  special: readonly (readonly [content: string, id: number])[],
  split: boolean,
): TokenizerJson {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: split };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map(([content, id]) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: { ...byteLevel, trim_offsets: false },
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}
