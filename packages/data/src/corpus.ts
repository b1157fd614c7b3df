import { assert } from '@troupe/core';
import type { Documents } from './documents.ts';
import { isHeldOut } from './holdout.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Token ids: 16 bits where the vocabulary allows. */
export type TokenArray = Uint16Array | Int32Array;

/** Documents one after the other, each followed by the end of text (where the tokenizer has one). */
export interface PackedTokens {
  readonly tokens: TokenArray;
  /** Where each document starts, ascending, first 0; documents without tokens are left out. */
  readonly documentStarts: Int32Array;
}

/** Tokenised text, split by {@link isHeldOut}. Independent of sequence length and seed. */
export interface Corpus {
  readonly vocabSize: number;
  readonly endOfText: number | null;
  readonly train: PackedTokens;
  readonly heldOut: PackedTokens;
}

export interface BuildCorpusOptions {
  readonly documents: Documents;
  readonly tokenizer: Tokenizer;
  /** Share of documents held out, 0 ≤ share < 1. */
  readonly holdout: number;
}

/** Tokenises documents in their order and packs them. */
export async function buildCorpus(options: BuildCorpusOptions): Promise<Corpus> {
  const { documents, tokenizer, holdout } = options;
  assert(holdout >= 0 && holdout < 1, 'holdout is a share: 0 ≤ holdout < 1', { holdout });
  const train = new Packer(tokenizer);
  const heldOut = new Packer(tokenizer);
  for await (const { text } of documents) (isHeldOut(text, holdout) ? heldOut : train).add(text);
  return {
    vocabSize: tokenizer.vocabSize,
    endOfText: tokenizer.endOfText,
    train: train.finish(),
    heldOut: heldOut.finish(),
  };
}

/** Wraps token ids that were packed elsewhere; a document ends after each `endOfText`. */
export function packTokens(tokens: TokenArray, endOfText: number | null): PackedTokens {
  const starts: number[] = tokens.length > 0 ? [0] : [];
  if (endOfText !== null)
    for (let i = 0; i + 1 < tokens.length; i++) if (tokens[i] === endOfText) starts.push(i + 1);
  return { tokens, documentStarts: Int32Array.from(starts) };
}

/** Collects documents in an array that doubles. */
class Packer {
  private readonly tokenizer: Tokenizer;
  private readonly starts: number[] = [];
  private tokens: TokenArray;
  private numTokens = 0;

  constructor(tokenizer: Tokenizer) {
    this.tokenizer = tokenizer;
    this.tokens = tokenizer.vocabSize <= 0x10000 ? new Uint16Array(1024) : new Int32Array(1024);
  }

  add(text: string): void {
    const ids = this.tokenizer.encode(text);
    if (ids.length === 0) return;
    this.reserve(ids.length + 1);
    this.starts.push(this.numTokens);
    this.tokens.set(ids, this.numTokens);
    this.numTokens += ids.length;
    if (this.tokenizer.endOfText !== null) this.tokens[this.numTokens++] = this.tokenizer.endOfText;
  }

  finish(): PackedTokens {
    return { tokens: this.tokens.slice(0, this.numTokens), documentStarts: Int32Array.from(this.starts) };
  }

  private reserve(numMore: number): void {
    const needed = this.numTokens + numMore;
    assert(needed < 0x80000000, 'a split of a corpus holds fewer than 2^31 tokens', { needed });
    if (needed <= this.tokens.length) return;
    const capacity = Math.max(needed, 2 * this.tokens.length);
    const larger = this.tokens instanceof Uint16Array ? new Uint16Array(capacity) : new Int32Array(capacity);
    larger.set(this.tokens.subarray(0, this.numTokens));
    this.tokens = larger;
  }
}
