import { assert } from '@troupe/core';
import { bytesOfToken, characterOfByte } from './byte-alphabet.ts';
import { byteLevelJson } from './byte-level-json.ts';
import { endOfTextOf } from './end-of-text.ts';
import { splitGpt2 } from './gpt2-split.ts';
import { MergeTable } from './merge-table.ts';
import {
  canonicalJson,
  fingerprintOf,
  vocabularyOf,
  type TokenizerJson,
  type Vocabulary,
  type VocabularyJson,
} from './tokenizer-json.ts';
import type { DecodeOptions, Tokenizer } from './tokenizer.ts';

/** Pieces remembered with their ids; a full cache is emptied, so memory is bounded. */
const CACHE_PIECES = 1 << 17;
/** Longer pieces hardly repeat. */
const CACHE_PIECE_UNITS = 64;

/** What the form leaves open. */
interface Parts {
  readonly special: ReadonlyMap<string, number>;
  readonly merges: MergeTable;
  /** GPT-2's split, or the whole text as one piece. */
  readonly split: boolean;
}

const outline = (json: TokenizerJson): string =>
  canonicalJson({ ...json, model: { ...json.model, vocab: null, merges: null } });

/** The parts of a file in the very form that Troupe writes; null for any other. */
function partsOf(json: TokenizerJson, known: Vocabulary): Parts | null {
  const added = json.added_tokens.map(({ content, id }) => [content, id] as const);
  const split = json.pre_tokenizer?.['use_regex'] === true;
  if (outline(json) !== outline(byteLevelJson({}, [], added, split))) return null;
  const special = new Map(added);
  const whole =
    known.largestId === known.size - 1 &&
    new Set(Object.values(json.model.vocab)).size === known.size &&
    characterOfByte.every((character) => known.idOf(character) !== undefined) &&
    special.size === added.length &&
    added.every(([content, id]) => content !== '' && known.idOf(content) === id);
  const merges = whole ? mergesOf(json, known) : null;
  return merges === null ? null : { special, merges, split };
}

/** null when a merge uses what the vocabulary lacks, or stands twice: the library says what it makes of that. */
function mergesOf({ model }: TokenizerJson, known: Vocabulary): MergeTable | null {
  const table = new MergeTable(known.size);
  for (const merge of model.merges ?? []) {
    const [left = '', right = ''] = typeof merge === 'string' ? merge.split(' ') : merge;
    const [leftId, rightId, result] = [left, right, left + right].map((token) => known.idOf(token));
    if (leftId === undefined || rightId === undefined || result === undefined) return null;
    if (!table.add(leftId, rightId, result)) return null;
  }
  return table;
}

/**
 * The byte-level BPE that Troupe trains, and the one of bytes alone: GPT-2's form, encoded here, so that it needs no library, works
 * on every platform and is several times as fast. Ids equal the library's, which a test holds.
 */
export class ByteLevelTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly endOfText: number | null;
  private readonly json: TokenizerJson;
  private readonly parts: Parts;
  private readonly bytes: readonly Uint8Array[];
  private readonly special: ReadonlySet<number>;
  private readonly specialPattern: RegExp | null;
  private readonly byteIds: Int32Array;
  private readonly utf8 = new TextEncoder();
  private cache = new Map<string, readonly number[]>();
  private hash: string | undefined;

  private constructor(json: TokenizerJson, known: Vocabulary, parts: Parts, endOfText: number | null) {
    const { special } = parts;
    this.json = json;
    this.parts = parts;
    this.vocabSize = known.size;
    this.endOfText = endOfText;
    const bytes: Uint8Array[] = [];
    for (const [spelling, id] of Object.entries(json.model.vocab as VocabularyJson))
      bytes[id] = bytesOfToken(spelling);
    this.bytes = bytes;
    this.special = new Set(special.values());
    this.specialPattern = patternOf([...special.keys()]);
    this.byteIds = Int32Array.from(characterOfByte, (character) => known.idOf(character) ?? 0);
  }

  /**
   * null when the file is not in the form that Troupe writes.
   *
   * @param known - the model's own tokens
   * @param file - what messages call it
   * @param endOfText - spelling of the token that follows each document; undefined: the first known one
   */
  static of(
    json: TokenizerJson,
    known: Vocabulary,
    file: string,
    endOfText: string | undefined,
  ): ByteLevelTokenizer | null {
    const parts = partsOf(json, known);
    if (parts === null) return null;
    return new ByteLevelTokenizer(
      json,
      known,
      parts,
      endOfTextOf(json.added_tokens, parts.special, file, endOfText),
    );
  }

  /** From what Troupe made itself. */
  static own(json: TokenizerJson): ByteLevelTokenizer {
    const tokenizer = ByteLevelTokenizer.of(json, vocabularyOf(json.model), 'tokenizer.json', undefined);
    assert(tokenizer !== null, 'what Troupe writes has the form that Troupe writes');
    return tokenizer;
  }

  get fingerprint(): string {
    this.hash ??= fingerprintOf(this.json);
    return this.hash;
  }

  toJson(): TokenizerJson {
    return this.json;
  }

  isSpecial(id: number): boolean {
    return this.special.has(id);
  }

  decode(ids: Iterable<number>, options: DecodeOptions = {}): Promise<string> {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    let text = '';
    for (const id of ids) {
      if (options.skipSpecial === true && this.isSpecial(id)) continue;
      text += decoder.decode(this.bytes[id] ?? new Uint8Array(0), { stream: true });
    }
    return Promise.resolve(text + decoder.decode());
  }

  encode(text: string): Promise<Int32Array> {
    return Promise.resolve(this.idsOf(text));
  }

  encodeAll(texts: readonly string[]): Promise<readonly Int32Array[]> {
    return Promise.resolve(texts.map((text) => this.idsOf(text)));
  }

  private idsOf(text: string): Int32Array {
    const ids: number[] = [];
    let end = 0;
    if (this.specialPattern !== null)
      for (const match of text.matchAll(this.specialPattern)) {
        this.appendIds(ids, text.slice(end, match.index));
        ids.push(this.parts.special.get(match[0]) ?? 0);
        end = match.index + match[0].length;
      }
    this.appendIds(ids, text.slice(end));
    return Int32Array.from(ids);
  }

  private appendIds(ids: number[], text: string): void {
    if (text === '') return;
    const pieces = this.parts.split ? splitGpt2(text) : [text];
    for (const piece of pieces) for (const id of this.pieceIds(piece)) ids.push(id);
  }

  private pieceIds(piece: string): readonly number[] {
    const known = this.cache.get(piece);
    if (known !== undefined) return known;
    const symbols = Array.from(this.utf8.encode(piece), (byte) => this.byteIds[byte] ?? 0);
    const ids = this.parts.merges.apply(symbols);
    if (piece.length <= CACHE_PIECE_UNITS) {
      if (this.cache.size >= CACHE_PIECES) this.cache = new Map();
      this.cache.set(piece, ids);
    }
    return ids;
  }
}

/** Any of the spellings, leftmost first, the longest of those that start there; null without spellings. */
function patternOf(spellings: readonly string[]): RegExp | null {
  if (spellings.length === 0) return null;
  const longestFirst = spellings.toSorted((a, b) => b.length - a.length);
  const escaped = longestFirst.map((each) => each.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
  return new RegExp(escaped.join('|'), 'gu');
}
