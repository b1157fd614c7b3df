import { characterOfByte } from './byte-alphabet.ts';
import { byteLevelJson, END_OF_TEXT } from './byte-level-json.ts';
import { ByteLevelTokenizer } from './byte-level-tokenizer.ts';
import { DataConfigError } from './errors.ts';
import { Heap } from './heap.ts';
import { splitGpt2 } from './gpt2-split.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface TrainBpeOptions {
  /** Tokens in all: special ones, 256 bytes, merges. Fewer come out when the text has no more pairs to merge. */
  readonly vocab: number;
  /** A pair seen less often is not merged. Default 2. */
  readonly minFrequency?: number;
  /** Spellings of special tokens, ids from 0. Default `<|endoftext|>`. */
  readonly special?: readonly string[];
  /** Hears, now and then, how many tokens there are. */
  readonly progress?: (tokens: number) => void;
}

/** Merges between two reports. */
const PROGRESS_MERGES = 16;
/** Pieces that the engine cuts out of a text without copying them have at least so many units. */
const SLICED_UNITS = 13;

/** The same text on its own: a piece that is kept would keep the whole document alive that it was cut from. */
const alone = (piece: string): string => (piece.length < SLICED_UNITS ? piece : piece.split('').join(''));

/** Two neighbouring tokens, how often they stand so, and the words that hold them (possibly no longer). */
interface Pair {
  readonly left: number;
  readonly right: number;
  count: number;
  readonly words: number[];
}

/** A pair with its count when it was queued: a stale entry is queued again, a grown pair gets a new entry. */
interface Candidate {
  readonly pair: Pair;
  readonly count: number;
}

/** More often first; among equals the pair of lower ids: the result does not depend on the order of texts. */
const before = (a: Candidate, b: Candidate): boolean =>
  a.count !== b.count
    ? a.count > b.count
    : a.pair.left !== b.pair.left
      ? a.pair.left < b.pair.left
      : a.pair.right < b.pair.right;

/**
 * Trains a byte-level BPE with GPT-2's split on the given texts.
 *
 * The vocabulary is special tokens, then the 256 bytes in the order of their characters, then merges: the order and
 * the tie-breaking of Hugging Face's trainer.
 *
 * @throws {DataConfigError} TROUPE_DATA_CONFIG when `vocab` is smaller than special tokens + 256
 * @see Sennrich et al. 2016, arXiv:1508.07909
 */
export async function trainBpe(
  texts: Iterable<string> | AsyncIterable<string>,
  options: TrainBpeOptions,
): Promise<Tokenizer> {
  const special = options.special ?? [END_OF_TEXT];
  const smallest = special.length + 256;
  if (!Number.isInteger(options.vocab) || options.vocab < smallest)
    throw new DataConfigError(
      `tokenizer.vocab is ${options.vocab}`,
      `a byte-level BPE needs an integer of at least ${smallest}: 256 bytes and ${special.length} special tokens`,
    );
  const odd = special.find(
    (each, i) => each === '' || characterOfByte.includes(each) || special.indexOf(each) !== i,
  );
  if (odd !== undefined)
    throw new DataConfigError(
      `the special token ${JSON.stringify(odd)}`,
      'special tokens are spelled differently from each other and from each byte',
    );
  const words = await countWords(texts);
  const spellings = [...special, ...characterOfByte.toSorted()];
  const trainer = new Trainer(words, spellings, special.length);
  const merges = trainer.run(options.vocab, options.minFrequency ?? 2, options.progress);
  const vocab = Object.fromEntries(spellings.map((spelling, id) => [spelling, id] as const));
  const specialIds = special.map((content, id) => [content, id] as const);
  return ByteLevelTokenizer.own(byteLevelJson(vocab, merges, specialIds, true));
}

/** What to say when a text gave fewer tokens than were asked for. */
export const fewerTokens = (numTokens: number, asked: number): string =>
  `the tokenizer has ${numTokens} tokens, ${asked} were asked for: no more pairs of the text occur twice, so the rows of the embedding from ${numTokens} on stay unused; give it more text or set a smaller vocabulary`;

/** How often each piece of the split occurs. */
async function countWords(texts: Iterable<string> | AsyncIterable<string>): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for await (const text of texts)
    for (const piece of splitGpt2(text)) {
      const count = counts.get(piece);
      counts.set(count === undefined ? alone(piece) : piece, (count ?? 0) + 1);
    }
  return counts;
}

class Trainer {
  /** Words one after the other; word w holds `lengths[w]` symbols from `starts[w]`. */
  private readonly symbols: Int32Array;
  private readonly starts: Int32Array;
  private readonly lengths: Int32Array;
  private readonly counts: Float64Array;
  private readonly spellings: string[];
  /** They are no text: no merge spells one. */
  private readonly special: ReadonlySet<string>;
  private readonly idOfSpelling: Map<string, number>;
  private readonly pairs = new Map<number, Pair>();
  /** The last merge that visited a word: its list may name it twice. */
  private readonly visited: Int32Array;
  private readonly grown = new Set<Pair>();

  constructor(words: ReadonlyMap<string, number>, spellings: string[], numSpecial: number) {
    this.spellings = spellings;
    this.special = new Set(spellings.slice(0, numSpecial));
    this.idOfSpelling = new Map(
      spellings.slice(numSpecial).map((spelling, i) => [spelling, numSpecial + i] as const),
    );
    const encoder = new TextEncoder();
    this.counts = Float64Array.from(words.values());
    this.starts = new Int32Array(words.size);
    this.lengths = new Int32Array(words.size);
    this.visited = new Int32Array(words.size).fill(-1);
    const encoded = (word: string): Uint8Array => encoder.encode(word);
    let [index, numSymbols] = [0, 0];
    // Twice over the words, so that their bytes need not be kept beside their symbols.
    for (const word of words.keys()) {
      this.starts[index] = numSymbols;
      this.lengths[index] = encoded(word).length;
      numSymbols += this.lengths[index++] ?? 0;
    }
    this.symbols = new Int32Array(numSymbols);
    const idOfByte = characterOfByte.map((character) => this.idOfSpelling.get(character) ?? 0);
    index = 0;
    for (const word of words.keys()) this.addWord(index++, encoded(word), idOfByte);
    this.grown.clear();
  }

  private addWord(word: number, bytes: Uint8Array, idOfByte: readonly number[]): void {
    const start = this.starts[word] ?? 0;
    let at = start;
    for (const byte of bytes) this.symbols[at++] = idOfByte[byte] ?? 0;
    for (let i = start; i + 1 < at; i++) this.change(this.symbols[i] ?? 0, this.symbols[i + 1] ?? 0, word, 1);
  }

  /** Merges in order, until the vocabulary is full or no pair is frequent enough. Extends `spellings`. */
  run(
    vocab: number,
    minFrequency: number,
    progress: TrainBpeOptions['progress'],
  ): (readonly [string, string])[] {
    const heap = new Heap<Candidate>(
      before,
      Array.from(this.pairs.values(), (pair) => ({ pair, count: pair.count })),
    );
    const merges: (readonly [string, string])[] = [];
    while (this.spellings.length < vocab) {
      const top = heap.pop();
      if (top === undefined) break;
      const { pair, count } = top;
      if (count !== pair.count) {
        heap.push({ pair, count: pair.count });
        continue;
      }
      if (count < Math.max(1, minFrequency)) break;
      const names = [this.spellings[pair.left] ?? '', this.spellings[pair.right] ?? ''] as const;
      if (this.special.has(names.join(''))) continue;
      this.merge(pair, this.idFor(names.join('')), merges.length);
      merges.push(names);
      if (merges.length % PROGRESS_MERGES === 0) progress?.(this.spellings.length);
      for (const other of this.grown) heap.push({ pair: other, count: other.count });
      this.grown.clear();
    }
    return merges;
  }

  /** Two different pairs may spell the same token. */
  private idFor(spelling: string): number {
    const known = this.idOfSpelling.get(spelling);
    if (known !== undefined) return known;
    this.idOfSpelling.set(spelling, this.spellings.length);
    return this.spellings.push(spelling) - 1;
  }

  private change(left: number, right: number, word: number, sign: 1 | -1): void {
    const key = left * 0x400000 + right;
    let pair = this.pairs.get(key);
    if (pair === undefined) {
      pair = { left, right, count: 0, words: [] };
      this.pairs.set(key, pair);
    }
    pair.count += sign * (this.counts[word] ?? 0);
    if (sign < 0) return;
    if (pair.words.at(-1) !== word) pair.words.push(word);
    this.grown.add(pair);
  }

  private merge(pair: Pair, result: number, mergeIndex: number): void {
    const words = pair.words.splice(0);
    for (const word of words) {
      if (this.visited[word] === mergeIndex) continue;
      this.visited[word] = mergeIndex;
      this.mergeWord(word, pair, result);
    }
    // No occurrence is left; in runs like `aaa` the overlapping ones were counted too.
    pair.count = 0;
    this.grown.delete(pair);
  }

  private mergeWord(word: number, pair: Pair, result: number): void {
    const { symbols } = this;
    const start = this.starts[word] ?? 0;
    const end = start + (this.lengths[word] ?? 0);
    let out = start;
    for (let i = start; i < end; i++) {
      if (symbols[i] !== pair.left || i + 1 >= end || symbols[i + 1] !== pair.right) {
        symbols[out++] = symbols[i] ?? 0;
        continue;
      }
      if (out > start) {
        const previous = symbols[out - 1] ?? 0;
        this.change(previous, pair.left, word, -1);
        this.change(previous, result, word, 1);
      }
      if (i + 2 < end) {
        const next = symbols[i + 2] ?? 0;
        this.change(pair.right, next, word, -1);
        this.change(result, next, word, 1);
      }
      symbols[out++] = result;
      i++;
    }
    this.lengths[word] = out - start;
  }
}
