import { ByteLevelTokenizer } from '../byte-level-tokenizer.ts';
import { byteLevelJson } from '../byte-level-json.ts';
import { characterOfByte } from '../byte-alphabet.ts';
import { DataConfigError } from '../errors.ts';
import { loadTokenizer } from '../load-tokenizer.ts';
import type { TokenizerJson, VocabularyJson } from '../tokenizer-json.ts';
import type { Tokenizer } from '../tokenizer.ts';
import type { NoiseIds } from './noise.ts';

/** Sentinels of span corruption, as many as T5 has. */
const NUM_SENTINELS = 100;
const MASK = '<mask>';
const sentinelName = (index: number): string => `<extra_${index}>`;

/** The token that says which language is written: `<2de>`. */
export const languageTag = (language: string): string => `<2${language}>`;

/** Tokens that tasks need beside those of text, in the order of their ids. */
export const specialNames = (languages: readonly string[]): readonly string[] => [
  ...languages.map(languageTag),
  MASK,
  ...Array.from({ length: NUM_SENTINELS }, (_, index) => sentinelName(index)),
];

/** The same tokenizer with further special tokens behind its own; those that it has already stay where they are. */
export function withSpecialTokens(tokenizer: Tokenizer, names: readonly string[]): Tokenizer {
  const json = tokenizer.toJson();
  const known = new Set(json.added_tokens.map(({ content }) => content));
  const missing = names
    .filter((name) => !known.has(name))
    .map((name, index) => [name, tokenizer.vocabSize + index] as const);
  if (missing.length === 0) return tokenizer;
  const added_tokens = [...json.added_tokens, ...byteLevelJson({}, [], missing, true).added_tokens];
  if (!(tokenizer instanceof ByteLevelTokenizer)) return loadTokenizer({ ...json, added_tokens });
  const vocab = { ...(json.model.vocab as VocabularyJson), ...Object.fromEntries(missing) };
  return ByteLevelTokenizer.own({ ...json, added_tokens, model: { ...json.model, vocab } });
}

/** Marks that end a sentence. */
const closingMarks = ['.', '!', '?', '…', '。', '！', '？', '।', '؟', '۔'];

/** A text in the characters by which a byte-level vocabulary spells its bytes. */
const spelled = (text: string): string =>
  Array.from(new TextEncoder().encode(text), (byte) => characterOfByte[byte] ?? '').join('');

/** Ids of tokens that end with a closing mark, however the vocabulary spells it. */
function closingIds({ model: { vocab } }: TokenizerJson): ReadonlySet<number> {
  const ends = [...new Set(closingMarks.flatMap((mark) => [mark, spelled(mark)]))];
  const tokens = Array.isArray(vocab)
    ? (vocab as readonly (readonly [string, number])[]).map(([token], id) => [token, id] as const)
    : Object.entries(vocab as VocabularyJson);
  return new Set(tokens.flatMap(([token, id]) => (ends.some((end) => token.endsWith(end)) ? [id] : [])));
}

/** Ids of the tokens that tasks need. */
export interface SpecialIds {
  /** The token after each source and target. */
  readonly end: number;
  readonly tags: ReadonlyMap<string, number>;
  readonly noise: NoiseIds;
}

/**
 * Looks the special tokens of tasks up.
 *
 * @throws {DataConfigError} TROUPE_DATA_CONFIG when the tokenizer has no end of text, or has one of them and takes it for text
 */
export async function specialIds(tokenizer: Tokenizer, languages: readonly string[]): Promise<SpecialIds> {
  if (tokenizer.endOfText === null)
    throw new DataConfigError(
      'the tokenizer has no token that ends a text',
      'tasks need one, such as <|endoftext|> or </s>',
    );
  const names = specialNames(languages);
  const found = await tokenizer.encodeAll(names);
  const ids = new Map(
    names.map((name, index): [string, number] => {
      const [id, ...more] = found[index] ?? [];
      if (id === undefined || more.length > 0)
        throw new DataConfigError(`the tokenizer takes ${name} for text`, 'it must be a special token of it');
      return [name, id];
    }),
  );
  const idOf = (name: string): number => ids.get(name) ?? 0;
  const sentinel = idOf(sentinelName(0));
  if (idOf(sentinelName(NUM_SENTINELS - 1)) !== sentinel + NUM_SENTINELS - 1)
    throw new DataConfigError(
      `the ids of ${sentinelName(0)} and those after it do not follow one another`,
      'use a tokenizer that has all of them in order, or none',
    );
  const closing = closingIds(tokenizer.toJson());
  const separator = await tokenizer.encode('\n');
  return {
    end: tokenizer.endOfText,
    tags: new Map(languages.map((language) => [language, idOf(languageTag(language))])),
    noise: {
      sentinel,
      sentinels: NUM_SENTINELS,
      mask: idOf(MASK),
      separator,
      closes: (id) => closing.has(id),
    },
  };
}
