import { segmenter, type Segment } from './added-tokens.ts';
import { bytesOfToken, characterOfByte } from './byte-alphabet.ts';
import { TokenizerFeatureError, TokenizerFormatError } from './errors.ts';
import { MergeTable } from './merge-table.ts';
import { normalizerOf } from './normalizer.ts';
import { isByteLevel, preTokenizerOf, type PreTokenizer } from './pre-tokenizer.ts';
import { decodeAll } from './text-stream.ts';
import { checkTokenizerJson, fingerprintOf, type TokenizerJson } from './tokenizer-json.ts';
import type { DecodeOptions, Tokenizer } from './tokenizer.ts';

/** Pieces remembered with their ids; a full cache starts anew, so memory is bounded. */
const CACHE_PIECES = 1 << 17;
/** Longer pieces hardly repeat. */
const CACHE_PIECE_UNITS = 64;
/** Bytes that valid UTF-8 never holds: a vocabulary may lack them. */
const neverInUtf8 = (byte: number): boolean => byte === 0xc0 || byte === 0xc1 || byte >= 0xf5;

/** Spellings of the end-of-text token in published tokenizers, most specific first. */
const endOfTextNames = [
  '<|endoftext|>',
  '<|end_of_text|>',
  '<｜end▁of▁sentence｜>',
  '<|endofsentence|>',
  '</s>',
  '<eos>',
  '[EOS]',
];

export interface LoadTokenizerOptions {
  /** Spelling of the token that follows each document; default: the first known one among the added tokens. */
  readonly endOfText?: string;
}

/**
 * A byte-level BPE tokenizer from the content of a Hugging Face `tokenizer.json`.
 *
 * Ids equal those of Hugging Face tokenizers with `add_special_tokens=False`; truncation and padding settings of the
 * file are not applied.
 *
 * @throws {TokenizerFormatError} TROUPE_DATA_TOKENIZER
 * @throws {TokenizerFeatureError} TROUPE_DATA_TOKENIZER_FEATURE naming what is not supported
 */
export function loadTokenizer(json: unknown, options: LoadTokenizerOptions = {}): Tokenizer {
  return new BpeTokenizer(checkTokenizerJson(json), options.endOfText);
}

class BpeTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly endOfText: number | null;
  private readonly json: TokenizerJson;
  private readonly bytes: Uint8Array[] = [];
  private readonly special: ReadonlySet<number>;
  private readonly segment: (text: string) => Segment[];
  private readonly preTokenize: PreTokenizer;
  private readonly byteIds = new Int32Array(256);
  private readonly merges: MergeTable;
  /** Spelling → id of whole pieces that skip the merges; null unless `ignore_merges`. */
  private readonly whole: Readonly<Record<string, number>> | null;
  private readonly utf8 = new TextEncoder();
  private cache = new Map<string, readonly number[]>();
  private hash: string | undefined;

  constructor(json: TokenizerJson, endOfText: string | undefined) {
    this.json = json;
    const { added_tokens: added, model } = json;
    this.special = new Set(added.filter((token) => token.special).map((token) => token.id));
    this.segment = segmenter(added, normalizerOf(json.normalizer));
    if (!isByteLevel(json.pre_tokenizer))
      throw new TokenizerFeatureError('a pre-tokenizer that is not byte-level');
    const decoder = json.decoder?.type ?? 'none';
    if (decoder !== 'ByteLevel') throw new TokenizerFeatureError(`the decoder ${decoder}`);
    this.preTokenize = preTokenizerOf(json.pre_tokenizer);
    this.readVocabulary();
    this.vocabSize = this.bytes.length;
    this.merges = this.readMerges();
    this.whole = model.ignore_merges ? model.vocab : null;
    this.endOfText = endOfTextOf(json, endOfText);
  }

  get fingerprint(): string {
    this.hash ??= fingerprintOf(this.json);
    return this.hash;
  }

  toJson(): TokenizerJson {
    return this.json;
  }

  bytesOf(id: number): Uint8Array {
    return this.bytes[id] ?? new Uint8Array(0);
  }

  isSpecial(id: number): boolean {
    return this.special.has(id);
  }

  decode(ids: Iterable<number>, options?: DecodeOptions): string {
    return decodeAll(this, ids, options);
  }

  encode(text: string): Int32Array {
    const ids: number[] = [];
    for (const segment of this.segment(text)) {
      if (typeof segment === 'number') ids.push(segment);
      else for (const piece of this.preTokenize(segment)) for (const id of this.pieceIds(piece)) ids.push(id);
    }
    return Int32Array.from(ids);
  }

  private pieceIds(piece: string): readonly number[] {
    const known = this.cache.get(piece);
    if (known !== undefined) return known;
    const bytes = this.utf8.encode(piece);
    const symbols = Array.from(bytes, (byte) => this.byteIds[byte] ?? 0);
    const id =
      this.whole === null
        ? undefined
        : this.whole[Array.from(bytes, (byte) => characterOfByte[byte]).join('')];
    const ids = id === undefined ? this.merges.apply(symbols) : [id];
    if (piece.length <= CACHE_PIECE_UNITS) {
      if (this.cache.size >= CACHE_PIECES) this.cache = new Map();
      this.cache.set(piece, ids);
    }
    return ids;
  }

  private readVocabulary(): void {
    const { vocab } = this.json.model;
    const spellings = [
      ...Object.entries(vocab),
      ...this.json.added_tokens.map((token) => [token.content, token.id] as const),
    ];
    let largest = -1;
    for (const [, id] of spellings) if (id > largest) largest = id;
    for (let id = 0; id <= largest; id++) this.bytes.push(new Uint8Array(0));
    for (const [spelling, id] of spellings) {
      if (!Number.isInteger(id) || id < 0) throw new TokenizerFormatError(`token ${spelling} has id ${id}`);
      this.bytes[id] = bytesOfToken(spelling);
    }
    for (let byte = 0; byte < 256; byte++) {
      const id = vocab[characterOfByte[byte] ?? ''];
      if (id === undefined && !neverInUtf8(byte))
        throw new TokenizerFeatureError(`a vocabulary without byte 0x${byte.toString(16).padStart(2, '0')}`);
      this.byteIds[byte] = id ?? 0;
    }
  }

  private readMerges(): MergeTable {
    const { vocab, merges } = this.json.model;
    const table = new MergeTable(this.vocabSize);
    for (const merge of merges) {
      const [left, right] = typeof merge === 'string' ? merge.split(' ') : merge;
      const ids = [vocab[left ?? ''], vocab[right ?? ''], vocab[`${left}${right}`]];
      const [leftId, rightId, result] = ids;
      if (leftId === undefined || rightId === undefined || result === undefined)
        throw new TokenizerFormatError(
          `the merge of ${left} and ${right} uses a token that is not in the vocabulary`,
        );
      table.add(leftId, rightId, result);
    }
    return table;
  }
}

function endOfTextOf(json: TokenizerJson, wanted: string | undefined): number | null {
  const ids = new Map(json.added_tokens.map((token) => [token.content, token.id] as const));
  const id = (wanted === undefined ? endOfTextNames : [wanted])
    .map((name) => ids.get(name))
    .find((one) => one !== undefined);
  if (id === undefined && wanted !== undefined)
    throw new TokenizerFormatError(
      `it has no added token ${wanted} (added: ${[...ids.keys()].join(', ') || 'none'})`,
    );
  return id ?? null;
}
