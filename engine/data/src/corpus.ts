import { createHash } from 'node:crypto';
import { assert } from '@troupe/core';
import type { Documents } from './documents.ts';
import { GrowingArray } from './growing-array.ts';
import { isHeldOut } from './holdout.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Documents that are encoded at once: characters and texts in all, so that memory is bounded. */
const UNITS_AT_ONCE = 1 << 18;
const TEXTS_AT_ONCE = 1024;

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
  /** sha256, hex, of the documents' texts in the order in which they were read: the same wherever the files lie. */
  readonly sha256: string;
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
  const hash = createHash('sha256');
  let texts: string[] = [];
  let units = 0;
  const pack = async (): Promise<void> => {
    const ids = await tokenizer.encodeAll(texts);
    for (const [index, text] of texts.entries())
      (isHeldOut(text, holdout) ? heldOut : train).add(ids[index] ?? new Int32Array(0));
    texts = [];
    units = 0;
  };
  for await (const { text } of documents) {
    hash.update(`${text.length} `).update(text);
    texts.push(text);
    units += text.length;
    if (units >= UNITS_AT_ONCE || texts.length >= TEXTS_AT_ONCE) await pack();
  }
  await pack();
  return {
    vocabSize: tokenizer.vocabSize,
    endOfText: tokenizer.endOfText,
    train: train.finish(),
    heldOut: heldOut.finish(),
    sha256: hash.digest('hex'),
  };
}

/** Wraps token ids that were packed elsewhere; a document ends after each `endOfText`. */
export function packTokens(tokens: TokenArray, endOfText: number | null): PackedTokens {
  const starts: number[] = tokens.length > 0 ? [0] : [];
  if (endOfText !== null)
    for (let i = 0; i + 1 < tokens.length; i++) if (tokens[i] === endOfText) starts.push(i + 1);
  return { tokens, documentStarts: Int32Array.from(starts) };
}

/** Collects documents. */
class Packer {
  private readonly tokenizer: Tokenizer;
  private readonly starts = new GrowingArray((length) => new Int32Array(length));
  private readonly tokens: GrowingArray<TokenArray>;

  constructor(tokenizer: Tokenizer) {
    this.tokenizer = tokenizer;
    const isShort = tokenizer.vocabSize <= 0x10000;
    this.tokens = new GrowingArray((length) => (isShort ? new Uint16Array(length) : new Int32Array(length)));
  }

  add(ids: Int32Array): void {
    if (ids.length === 0) return;
    const needed = this.tokens.length + ids.length + 1;
    assert(needed < 0x80000000, 'a split of a corpus holds fewer than 2^31 tokens', { needed });
    this.starts.push(this.tokens.length);
    this.tokens.append(ids);
    if (this.tokenizer.endOfText !== null) this.tokens.push(this.tokenizer.endOfText);
  }

  finish(): PackedTokens {
    return { tokens: this.tokens.finish(), documentStarts: this.starts.finish() };
  }
}
