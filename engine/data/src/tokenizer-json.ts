import { createHash } from 'node:crypto';
import { DEPTH_MAX } from './json-bounds.ts';

/** A token that stands outside the model's own, e.g. `<|endoftext|>`. */
export interface AddedTokenJson {
  /** What the file says; the library numbers tokens that the vocabulary lacks by itself. */
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** A normalizer, a pre-tokenizer, a decoder: what it does by name, and its settings. */
export interface ComponentJson {
  readonly type: string;
  readonly [setting: string]: unknown;
}

export type VocabularyJson = Readonly<Record<string, number>>;

export interface ModelJson {
  readonly type: string;
  /** Ids by spelling; a Unigram model lists pairs of spelling and score, whose position is the id. */
  readonly vocab: VocabularyJson | readonly (readonly [string, number])[];
  /** Pairs; older files write `"a b"`. */
  readonly merges?: readonly (string | readonly [string, string])[];
  readonly [setting: string]: unknown;
}

/** The file format of Hugging Face tokenizers. */
export interface TokenizerJson {
  readonly version: string;
  readonly truncation: unknown;
  readonly padding: unknown;
  readonly added_tokens: readonly AddedTokenJson[];
  readonly normalizer: ComponentJson | null;
  readonly pre_tokenizer: ComponentJson | null;
  /** Templates only add tokens around a text; encoding here never does. */
  readonly post_processor: unknown;
  readonly decoder: ComponentJson | null;
  readonly model: ModelJson;
}

/** JSON with sorted keys and no white space: one text for one content. */
export function canonicalJson(value: unknown, depth = 0): string {
  if (depth > DEPTH_MAX) throw new RangeError(`nested deeper than ${DEPTH_MAX}`);
  if (Array.isArray(value)) return `[${value.map((each) => canonicalJson(each, depth + 1)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member, depth + 1)}`);
  return `{${members.join(',')}}`;
}

/** sha256, hex, of the canonical form. */
export const fingerprintOf = (json: TokenizerJson): string =>
  createHash('sha256').update(canonicalJson(json)).digest('hex');

/** The model's own tokens, looked up where they stand: a copy of a large vocabulary costs as much as reading it. */
export interface Vocabulary {
  readonly size: number;
  readonly largestId: number;
  idOf(token: string): number | undefined;
}

export function vocabularyOf({ vocab }: ModelJson): Vocabulary {
  if (Array.isArray(vocab)) {
    const pairs = vocab as readonly (readonly [string, number])[];
    const ids = new Map(pairs.map(([token], id) => [token, id] as const));
    return { size: pairs.length, largestId: pairs.length - 1, idOf: (token) => ids.get(token) };
  }
  const ids = vocab as VocabularyJson;
  const all = Object.values(ids);
  return {
    size: all.length,
    largestId: all.reduce((largest, id) => Math.max(largest, id), -1),
    // Not `ids[token]`: every object has a `constructor`.
    idOf: (token) => (Object.hasOwn(ids, token) ? ids[token] : undefined),
  };
}
