import { TokenizerFeatureError, TokenizerFormatError } from './errors.ts';
import { DEPTH_MAX } from './json-bounds.ts';
import type { AddedTokenJson, ComponentJson, ModelJson, TokenizerJson } from './tokenizer-json.ts';

/** Ids are below this: 16 times the largest vocabulary in use. An embedding of 2e9 rows fits no machine. */
export const IDS_MAX = 1 << 22;
const ADDED_TOKENS_MAX = 1 << 17;
const TOKEN_UNITS_MAX = 4096;
/** Components of a sequence, those inside included. */
const COMPONENTS_MAX = 64;
/** A text that is put in the place of another one: what a long one makes of a text is as much longer. */
const SETTING_UNITS_MAX = 256;
const SETTING_MAX = 1 << 20;
/** A pattern: those in use have a few hundred characters; 100,000 keep the library busy for minutes. */
const PATTERN_UNITS_MAX = 4096;
/** The table of a `Precompiled` normalizer, base64; the one of T5 and of XLM-R has 320,000 characters. */
const CHARSMAP_UNITS_MAX = 4 << 20;

/** What the library knows, by the place where it stands, and how its sequence names the members. */
const places = {
  normalizer: {
    members: 'normalizers',
    types:
      'BertNormalizer ByteLevel Lowercase NFC NFD NFKC NFKD Nmt Precompiled Prepend Replace Strip StripAccents',
  },
  pre_tokenizer: {
    members: 'pretokenizers',
    types:
      'BertPreTokenizer ByteLevel CharDelimiterSplit Digits FixedLength Metaspace Punctuation Split UnicodeScripts Whitespace WhitespaceSplit',
  },
  decoder: {
    members: 'decoders',
    types: 'BPEDecoder ByteFallback ByteLevel CTC Fuse Metaspace Replace Strip WordPiece',
  },
} as const satisfies Readonly<Record<string, { readonly members: string; readonly types: string }>>;
type Place = keyof typeof places;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isId = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < IDS_MAX;
/** A value as a message shows it. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (isObject(value)) return 'an object';
  if (value === undefined) return 'missing';
  const text = JSON.stringify(typeof value === 'string' ? value.slice(0, 60) : value);
  return typeof value === 'string' && value.length > 60 ? `${text}…` : text;
}
const badId = (what: string, id: unknown): string =>
  `${what} has the id ${shown(id)}, expected an integer from 0 to ${IDS_MAX - 1}`;

/** What the library would choke on, or take as a code point that there is not; null: nothing. */
function patternExcess(pattern: string): string | null {
  if (pattern.length > PATTERN_UNITS_MAX)
    return `has ${pattern.length} characters, more than ${PATTERN_UNITS_MAX}`;
  for (const [escape, digits = ''] of pattern.matchAll(/\\x\{([0-9A-Fa-f]+)\}/gu))
    if (Number.parseInt(digits, 16) > 0x10ffff) return `names ${escape}, beyond the last code point 10ffff`;
  return null;
}

/** Checks the parts of one file; each method throws with the file's name. */
class Check {
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  require(condition: boolean, problem: () => string): void {
    if (!condition) throw new TokenizerFormatError(problem(), this.#name);
  }

  #refuse(condition: boolean, feature: string): void {
    if (condition) throw new TokenizerFeatureError(feature, this.#name);
  }

  component(place: Place, value: unknown): ComponentJson | null {
    if (value === undefined || value === null) return null;
    let left = COMPONENTS_MAX;
    const visit = (each: unknown, path: string): void => {
      left--;
      this.require(left >= 0, () => `${place} has more than ${COMPONENTS_MAX} components`);
      this.require(isObject(each), () => `${path} is ${shown(each)}, expected an object`);
      const { type, ...settings } = each as ComponentJson;
      const { members, types } = places[place];
      if (type === 'Sequence') {
        const list = settings[members];
        this.require(Array.isArray(list), () => `${path}.${members} is ${shown(list)}, expected a list`);
        for (const [index, member] of (list as readonly unknown[]).entries())
          visit(member, `${path}.${members}[${index}]`);
        return;
      }
      this.require(typeof type === 'string', () => `${path} has no type`);
      this.#refuse(!types.split(' ').includes(type), `the ${place} ${shown(type)}`);
      for (const [name, setting] of Object.entries(settings)) this.#setting(`${path}.${name}`, setting);
      // Zero would never advance.
      if (type === 'FixedLength')
        this.require(
          settings['length'] === undefined || (settings['length'] as number) >= 1,
          () => `${path}.length is ${shown(settings['length'])}, expected at least 1`,
        );
    };
    visit(value, place);
    return value as ComponentJson;
  }

  #setting(path: string, value: unknown, depth = 0): void {
    if (typeof value === 'string') {
      if (path.endsWith('.Regex')) {
        const excess = patternExcess(value);
        this.require(excess === null, () => `the pattern ${path} ${excess}`);
        return;
      }
      const most = path.endsWith('.precompiled_charsmap') ? CHARSMAP_UNITS_MAX : SETTING_UNITS_MAX;
      this.require(value.length <= most, () => `${path} has ${value.length} characters, more than ${most}`);
    } else if (typeof value === 'number') {
      this.require(Math.abs(value) <= SETTING_MAX, () => `${path} is ${value}, beyond ±${SETTING_MAX}`);
    } else if (typeof value === 'object' && value !== null) {
      this.require(depth < 4, () => `${path} is nested deeper than a setting can be`);
      for (const [name, member] of Object.entries(value)) this.#setting(`${path}.${name}`, member, depth + 1);
    }
  }

  addedTokens(value: unknown): readonly AddedTokenJson[] {
    if (value === undefined || value === null) return [];
    this.require(Array.isArray(value), () => `added_tokens is ${shown(value)}, expected a list`);
    const tokens = value as readonly unknown[];
    this.require(
      tokens.length <= ADDED_TOKENS_MAX,
      () => `it has ${tokens.length} added tokens, more than ${ADDED_TOKENS_MAX}`,
    );
    for (const [index, token] of tokens.entries()) {
      this.require(isObject(token), () => `added_tokens[${index}] is ${shown(token)}, expected an object`);
      const { id, content, ...flags } = token as AddedTokenJson;
      this.#spelling(`added_tokens[${index}].content`, content);
      this.require(isId(id), () => badId(`the added token ${shown(content)}`, id));
      for (const name of ['single_word', 'lstrip', 'rstrip', 'normalized', 'special'] as const)
        this.require(
          typeof flags[name] === 'boolean',
          () => `added_tokens[${index}].${name} is ${shown(flags[name])}, expected true or false`,
        );
    }
    return value as readonly AddedTokenJson[];
  }

  #spelling(path: string, value: unknown): void {
    this.require(typeof value === 'string', () => `${path} is ${shown(value)}, expected a string`);
    const { length } = value as string;
    this.require(
      length <= TOKEN_UNITS_MAX,
      () => `${path} has ${length} characters, more than ${TOKEN_UNITS_MAX}`,
    );
  }

  model(value: unknown): ModelJson {
    this.require(isObject(value), () => 'it has no model');
    const model = value as Partial<ModelJson>;
    const type = model.type ?? (model.merges === undefined ? undefined : 'BPE');
    this.require(typeof type === 'string', () => 'its model has no type');
    const known = ['BPE', 'Unigram', 'WordLevel', 'WordPiece'];
    this.#refuse(!known.includes(type as string), `the model ${shown(type)}`);
    this.#refuse(Boolean(model['dropout'] ?? 0), 'dropout in its merges');
    if (type === 'Unigram') this.#scores(model.vocab);
    else this.#vocabulary(model.vocab);
    if (type === 'BPE') this.#merges(model.merges);
    for (const [name, setting] of Object.entries(model))
      if (name !== 'vocab' && name !== 'merges') this.#setting(`model.${name}`, setting);
    return { ...(value as ModelJson), type: type as string };
  }

  #vocabulary(vocab: unknown): void {
    this.require(isObject(vocab), () => `model.vocab is ${shown(vocab)}, expected an object`);
    const ids = vocab as Readonly<Record<string, unknown>>;
    const tokens = Object.keys(ids);
    this.require(tokens.length > 0, () => 'model.vocab is empty');
    for (const token of tokens) {
      const id = ids[token];
      if (token.length > TOKEN_UNITS_MAX) this.#spelling('a token of model.vocab', token);
      if (!isId(id)) this.require(false, () => badId(`the token ${shown(token)}`, id));
    }
  }

  #scores(vocab: unknown): void {
    this.require(Array.isArray(vocab), () => `model.vocab is ${shown(vocab)}, expected a list`);
    this.require((vocab as readonly unknown[]).length > 0, () => 'model.vocab is empty');
    for (const [index, pair] of (vocab as readonly unknown[]).entries()) {
      const [token, score] = Array.isArray(pair) && pair.length === 2 ? (pair as readonly unknown[]) : [];
      if (typeof token !== 'string' || typeof score !== 'number' || token.length > TOKEN_UNITS_MAX)
        this.require(false, () => `model.vocab[${index}] is ${shown(pair)}, expected a spelling and a score`);
    }
  }

  #merges(merges: unknown): void {
    this.require(Array.isArray(merges), () => `model.merges is ${shown(merges)}, expected a list`);
    for (const [index, merge] of (merges as readonly unknown[]).entries()) {
      const parts: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
      if (!Array.isArray(parts) || parts.length !== 2 || parts.some((part) => typeof part !== 'string'))
        this.require(false, () => `model.merges[${index}] is ${shown(merge)}, expected two spellings`);
    }
  }
}

/**
 * Checks that a parsed JSON value is a tokenizer.json: every part of its kind, every number and length within bounds. Settings of
 * truncation and padding are kept and not applied. What only the library can know (is this pattern one of its dialect?) is found when it loads.
 *
 * @param name - what messages call it: its path
 * @throws {TokenizerFormatError} TROUPE_DATA_TOKENIZER
 * @throws {TokenizerFeatureError} TROUPE_DATA_TOKENIZER_FEATURE for a component that the library does not have, or chance in a model
 */
export function checkTokenizerJson(value: unknown, name: string): TokenizerJson {
  const check = new Check(name);
  check.require(isObject(value), () => `it is ${shown(value)}, expected an object`);
  const json = value as Partial<TokenizerJson>;
  const { truncation = null, padding = null, post_processor = null } = json;
  for (const part of [truncation, padding, post_processor])
    check.require(depthOf(part) <= DEPTH_MAX, () => `lists and objects are nested deeper than ${DEPTH_MAX}`);
  return {
    version: typeof json.version === 'string' ? json.version : '1.0',
    truncation,
    padding,
    added_tokens: check.addedTokens(json.added_tokens),
    normalizer: check.component('normalizer', json.normalizer),
    pre_tokenizer: check.component('pre_tokenizer', json.pre_tokenizer),
    post_processor,
    decoder: check.component('decoder', json.decoder),
    model: check.model(json.model),
  };
}

/** How deep a value is nested, counted without calls within calls. */
function depthOf(value: unknown): number {
  let [level, depth]: [unknown[], number] = [[value], 0];
  while (level.length > 0 && depth <= DEPTH_MAX) {
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? Object.values(each) : []));
    depth++;
  }
  return depth;
}
