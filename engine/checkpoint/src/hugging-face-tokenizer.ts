import type { Json } from './config-keys.ts';
import { CheckpointFormatError } from './errors.ts';
import { isJsonObject, parseJson, shownJson, type JsonLimits } from './json-text.ts';

/** A tokenizer that goes out with a model. */
export interface ExportedTokenizer {
  /** Bytes of `tokenizer.json`, written as they are. */
  readonly json: Uint8Array;
  /** Id of the token that ends a document; null when there is none. */
  readonly endOfText: number | null;
}

/** A vocabulary of a million tokens, and its merges. */
const limits: JsonLimits = { bytes: 2 ** 27, depth: 64, values: 2 ** 24 };

/**
 * `tokenizer_config.json`: without one Transformers takes the tokenizer class of the architecture, which adds tokens of its own.
 *
 * @param file - name for messages
 * @throws {CheckpointFormatError} TROUPE_CHECKPOINT_FORMAT when the end of text is no added token
 */
export function tokenizerConfig(file: string, tokenizer: ExportedTokenizer, seqLen: number): Json {
  return {
    add_bos_token: false,
    add_eos_token: false,
    bos_token: null,
    clean_up_tokenization_spaces: false,
    eos_token: endOfTextToken(file, tokenizer),
    model_max_length: seqLen,
    pad_token: null,
    tokenizer_class: 'PreTrainedTokenizerFast',
    unk_token: null,
  };
}

/** The spelling of the end of text. */
function endOfTextToken(file: string, { json, endOfText }: ExportedTokenizer): string | null {
  if (endOfText === null) return null;
  const read = parseJson(json, limits);
  if ('problem' in read) throw new CheckpointFormatError(file, read.problem);
  const added = isJsonObject(read.value) ? read.value['added_tokens'] : null;
  for (const token of Array.isArray(added) ? added : []) {
    if (isJsonObject(token) && token['id'] === endOfText && typeof token['content'] === 'string')
      return token['content'];
  }
  throw new CheckpointFormatError(file, `has no added token ${shownJson(endOfText)}, the end of text`);
}
