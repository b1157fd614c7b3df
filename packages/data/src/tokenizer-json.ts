import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { TokenizerFeatureError, TokenizerFormatError } from './errors.ts';
import { unreadable } from './text-lines.ts';

/** A token that stands outside the merges, e.g. `<|endoftext|>`. */
export interface AddedTokenJson {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

export interface NormalizerJson {
  readonly type: string;
  readonly normalizers?: readonly NormalizerJson[];
}

export interface PreTokenizerJson {
  readonly type: string;
  readonly add_prefix_space?: boolean;
  readonly trim_offsets?: boolean;
  readonly use_regex?: boolean;
  readonly pattern?: { readonly Regex?: string; readonly String?: string };
  readonly behavior?: string;
  readonly invert?: boolean;
  readonly individual_digits?: boolean;
  readonly pretokenizers?: readonly PreTokenizerJson[];
}

export interface DecoderJson {
  readonly type: string;
  readonly add_prefix_space?: boolean;
  readonly trim_offsets?: boolean;
  readonly use_regex?: boolean;
  readonly decoders?: readonly DecoderJson[];
}

export interface BpeJson {
  readonly type: 'BPE';
  readonly dropout: number | null;
  readonly unk_token: string | null;
  readonly continuing_subword_prefix: string | null;
  readonly end_of_word_suffix: string | null;
  readonly fuse_unk: boolean;
  readonly byte_fallback: boolean;
  readonly ignore_merges: boolean;
  readonly vocab: Readonly<Record<string, number>>;
  /** Pairs; older files write `"a b"`. */
  readonly merges: readonly (string | readonly [string, string])[];
}

/** The file format of Hugging Face tokenizers, as far as byte-level BPE uses it. */
export interface TokenizerJson {
  readonly version: string;
  readonly truncation: unknown;
  readonly padding: unknown;
  readonly added_tokens: readonly AddedTokenJson[];
  readonly normalizer: NormalizerJson | null;
  readonly pre_tokenizer: PreTokenizerJson | null;
  /** Templates only add tokens around a text; encoding here never does. */
  readonly post_processor: unknown;
  readonly decoder: DecoderJson | null;
  readonly model: BpeJson;
}

/** JSON with sorted keys and no white space: one text for one content. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}

/** sha256, hex, of the canonical form. */
export const fingerprintOf = (json: TokenizerJson): string =>
  createHash('sha256').update(canonicalJson(json)).digest('hex');

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function requireFeature(condition: boolean, feature: string): void {
  if (!condition) throw new TokenizerFeatureError(feature);
}

/** Fills in what older files leave out, refuses models other than plain BPE. */
function modelOf(value: unknown): BpeJson {
  if (!isObject(value)) throw new TokenizerFormatError('it has no model');
  const model = value as Partial<Omit<BpeJson, 'type'>> & { readonly type?: string };
  requireFeature((model.type ?? 'BPE') === 'BPE', `the model ${String(model.type)}`);
  requireFeature((model.dropout ?? 0) === 0, 'dropout in its merges');
  requireFeature((model.continuing_subword_prefix ?? '') === '', 'continuing_subword_prefix');
  requireFeature((model.end_of_word_suffix ?? '') === '', 'end_of_word_suffix');
  requireFeature(model.byte_fallback !== true, 'byte_fallback');
  if (!isObject(model.vocab)) throw new TokenizerFormatError('model.vocab is missing');
  if (!Array.isArray(model.merges)) throw new TokenizerFormatError('model.merges is missing');
  return value as unknown as BpeJson;
}

/**
 * Checks that a parsed JSON value is a tokenizer.json whose parts are where they belong.
 *
 * @throws {TokenizerFormatError} TROUPE_DATA_TOKENIZER
 * @throws {TokenizerFeatureError} TROUPE_DATA_TOKENIZER_FEATURE for a model that is not plain BPE
 */
export function checkTokenizerJson(value: unknown): TokenizerJson {
  if (!isObject(value)) throw new TokenizerFormatError('it is not a JSON object');
  const json = value as Partial<TokenizerJson>;
  const model = modelOf(json.model);
  return {
    ...json,
    version: json.version ?? '1.0',
    truncation: json.truncation ?? null,
    padding: json.padding ?? null,
    added_tokens: json.added_tokens ?? [],
    normalizer: json.normalizer ?? null,
    pre_tokenizer: json.pre_tokenizer ?? null,
    post_processor: json.post_processor ?? null,
    decoder: json.decoder ?? null,
    model,
  };
}

/**
 * Reads a `tokenizer.json` from disk.
 *
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE; otherwise as {@link checkTokenizerJson}
 */
export function readTokenizerJson(path: string): TokenizerJson {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw unreadable(path, error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new TokenizerFormatError(
      `${path} is not JSON (${error instanceof Error ? error.message : String(error)})`,
    );
  }
  return checkTokenizerJson(value);
}
