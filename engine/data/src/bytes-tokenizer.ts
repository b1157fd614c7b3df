import { tokenOfBytes } from './byte-alphabet.ts';
import { byteLevelJson, END_OF_TEXT } from './byte-level-json.ts';
import { ByteLevelTokenizer } from './byte-level-tokenizer.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * One token a byte (id = byte) and the end of text as id 256: a vocabulary of 257 that needs no training.
 *
 * It is a byte-level BPE without merges, so its tokenizer.json works elsewhere too.
 */
export function bytesTokenizer(): Tokenizer {
  const vocab = Object.fromEntries(
    Array.from({ length: 256 }, (_, byte) => [tokenOfBytes([byte]), byte] as const),
  );
  return ByteLevelTokenizer.own(
    byteLevelJson({ ...vocab, [END_OF_TEXT]: 256 }, [], [[END_OF_TEXT, 256]], false),
  );
}
