import { readFileSync, statSync } from 'node:fs';
import { ByteLevelTokenizer } from './byte-level-tokenizer.ts';
import { TokenizerFormatError } from './errors.ts';
import { FILE_BYTES_MAX, jsonExcess } from './json-bounds.ts';
import { LibraryTokenizer } from './library-tokenizer.ts';
import { unreadable } from './text-lines.ts';
import { checkTokenizerJson } from './tokenizer-check.ts';
import { vocabularyOf } from './tokenizer-json.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface LoadTokenizerOptions {
  /** Spelling of the token that follows each document; default: the first known one among the added tokens. */
  readonly endOfText?: string;
  /** What messages call it. Default `tokenizer.json`. */
  readonly name?: string;
}

/**
 * A tokenizer from the content of a Hugging Face `tokenizer.json`.
 *
 * Ids equal those of Hugging Face tokenizers with `add_special_tokens=False`; truncation and padding settings of the
 * file are not applied. A file that Troupe wrote is encoded here, any other by Hugging Face's own library, in a process of
 * its own that the first text starts: what only the library finds wrong is thrown then, with the same codes.
 *
 * @throws {TokenizerFormatError} TROUPE_DATA_TOKENIZER
 * @throws {TokenizerFeatureError} TROUPE_DATA_TOKENIZER_FEATURE naming what is not supported
 */
export function loadTokenizer(value: unknown, options: LoadTokenizerOptions = {}): Tokenizer {
  const { endOfText, name = 'tokenizer.json' } = options;
  const json = checkTokenizerJson(value, name);
  const known = vocabularyOf(json.model);
  return (
    ByteLevelTokenizer.of(json, known, name, endOfText) ?? new LibraryTokenizer(json, known, name, endOfText)
  );
}

/**
 * As {@link loadTokenizer}, from the bytes of a file. What would cost far more memory than its bytes is refused before anything is built.
 */
export function parseTokenizer(bytes: Uint8Array, options: LoadTokenizerOptions = {}): Tokenizer {
  const { name = 'tokenizer.json' } = options;
  const excess = jsonExcess(bytes);
  if (excess !== null) throw new TokenizerFormatError(excess, name);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    const problem = error instanceof SyntaxError ? error.message : 'it is not UTF-8 text';
    throw new TokenizerFormatError(
      `it is not JSON (${problem.replaceAll(/\s+/gu, ' ').slice(0, 120)})`,
      name,
    );
  }
  return loadTokenizer(value, options);
}

/**
 * Reads a `tokenizer.json` from disk.
 *
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE; otherwise as {@link loadTokenizer}
 */
export function readTokenizer(path: string): Tokenizer {
  let bytes: Uint8Array;
  try {
    const { size } = statSync(path);
    if (size > FILE_BYTES_MAX)
      throw new TokenizerFormatError(`it has ${size} bytes, more than ${FILE_BYTES_MAX}`, path);
    bytes = readFileSync(path);
  } catch (error) {
    throw error instanceof TokenizerFormatError ? error : unreadable(path, error);
  }
  return parseTokenizer(bytes, { name: path });
}
