import { tmpdir } from 'node:os';
import { trainBpe } from './bpe-trainer.ts';
import { bytesTokenizer } from './bytes-tokenizer.ts';
import type { CacheEntry } from './cache-file.ts';
import { buildCorpus, type Corpus, type PackedTokens } from './corpus.ts';
import { documentSource, type DocumentOrigin, type DocumentSource } from './document-source.ts';
import { EntryCache, type CacheOptions } from './entry-cache.ts';
import { DataConfigError } from './errors.ts';
import { isHeldOut } from './holdout.ts';
import { parseTokenizer, readTokenizer } from './load-tokenizer.ts';
import { noPackedCorpus, writePackedCorpus } from './packed-corpus.ts';
import type { ReadListener } from './text-lines.ts';
import type { Tokenizer } from './tokenizer.ts';

const DEFAULT_VOCAB = 4096;

/** Which tokenizer. Default: a BPE of 4096 tokens, trained on the training split. */
export interface TokenizerSpec {
  readonly kind: 'bytes' | 'bpe';
  /** Size of the BPE to train; not together with `file`. */
  readonly vocab?: number;
  /** A `tokenizer.json` to load instead of training. */
  readonly file?: string;
}

export interface CorpusSpec {
  readonly origin: DocumentOrigin;
  readonly tokenizer?: TokenizerSpec;
  /** Share of documents held out for evaluation, 0 ≤ holdout < 1. Default 0.02. */
  readonly holdout?: number;
}

export interface OpenCorpusOptions extends CacheOptions {
  /** A tokenizer that is there already, instead of the one that the configuration describes: a run's, when it goes on. */
  readonly tokenizer?: Tokenizer;
  /** Hears how far reading and learning have come. */
  readonly progress?: (progress: DataProgress) => void;
}

/** How far one part of opening a corpus has come. */
export interface DataProgress {
  readonly task: 'learning a tokenizer' | 'cutting text into tokens';
  readonly unit: 'bytes' | 'tokens';
  readonly done: number;
  /** null: unknown. */
  readonly of: number | null;
}

export interface OpenedCorpus {
  readonly tokenizer: Tokenizer;
  readonly corpus: Corpus;
  /** True when nothing had to be built. */
  readonly fromCache: boolean;
  /** Why the cache could not be written (full disk, read-only folder); the corpus is good all the same. */
  readonly cacheProblem?: string;
  /** Packs it for machines without its files. @returns the path in the cache folder */
  readonly pack: (id: string) => string;
}

/** Of a corpus that is not made here. */
const unread: DocumentSource = {
  identity: null,
  sizeBytes: null,
  documents: () => ({ [Symbol.asyncIterator]: () => ({ next: noPackedCorpus }) }),
};

/** Adds up what has been read of a source, for progress reports. */
function reading(
  task: DataProgress['task'],
  { sizeBytes }: DocumentSource,
  { progress }: OpenCorpusOptions,
): ReadListener {
  let done = 0;
  return (bytes) => {
    done += bytes;
    progress?.({ task, unit: 'bytes', done, of: sizeBytes });
  };
}

async function* trainingTexts(
  source: DocumentSource,
  holdout: number,
  read: ReadListener,
): AsyncGenerator<string> {
  for await (const { text } of source.documents(read)) if (!isHeldOut(text, holdout)) yield text;
}

function checkSpec(spec: TokenizerSpec): void {
  if (spec.kind !== 'bytes' && spec.kind !== 'bpe')
    throw new DataConfigError(`unknown tokenizer kind ${String(spec.kind)}`, 'known kinds: bytes, bpe');
  if (spec.kind === 'bytes' && (spec.vocab ?? 257) !== 257)
    throw new DataConfigError(
      `tokenizer.vocab ${spec.vocab} with kind bytes`,
      'it always has 257 tokens; leave vocab out',
    );
  if (spec.kind === 'bytes' && spec.file !== undefined)
    throw new DataConfigError('tokenizer.file with kind bytes', 'use kind: bpe to load a tokenizer.json');
  if (spec.file !== undefined && spec.vocab !== undefined)
    throw new DataConfigError(
      'tokenizer.vocab together with tokenizer.file',
      'a loaded tokenizer has its own size',
    );
}

async function openTokenizer(
  spec: TokenizerSpec,
  source: DocumentSource,
  holdout: number,
  { cache, options }: { readonly cache: EntryCache; readonly options: OpenCorpusOptions },
): Promise<Tokenizer> {
  checkSpec(spec);
  if (spec.kind === 'bytes') return bytesTokenizer();
  if (spec.file !== undefined) return readTokenizer(spec.file);
  const vocab = spec.vocab ?? DEFAULT_VOCAB;
  return cache.entry(
    'tokenizer',
    [source.identity, holdout, vocab],
    ({ sections }) => parseTokenizer(sections['json'] as Uint8Array),
    () => {
      const task = 'learning a tokenizer';
      return trainBpe(trainingTexts(source, holdout, reading(task, source, options)), {
        vocab,
        progress: (done) => options.progress?.({ task, unit: 'tokens', done, of: vocab }),
      });
    },
    (tokenizer) => ({
      meta: {},
      sections: { json: new TextEncoder().encode(JSON.stringify(tokenizer.toJson())) },
    }),
  );
}

function corpusEntry(corpus: Corpus): CacheEntry {
  return {
    meta: { vocabSize: corpus.vocabSize, endOfText: corpus.endOfText },
    sections: {
      train: corpus.train.tokens,
      trainStarts: corpus.train.documentStarts,
      heldOut: corpus.heldOut.tokens,
      heldOutStarts: corpus.heldOut.documentStarts,
      sha256: Buffer.from(corpus.sha256, 'hex'),
    },
  };
}

function corpusFrom({ meta, sections }: CacheEntry, tokenizer: Tokenizer): Corpus | null {
  const packed = (tokens: string, starts: string): PackedTokens | null => {
    const [ids, documentStarts] = [sections[tokens], sections[starts]];
    if (!(ids instanceof Uint16Array || ids instanceof Int32Array)) return null;
    return documentStarts instanceof Int32Array ? { tokens: ids, documentStarts } : null;
  };
  const train = packed('train', 'trainStarts');
  const heldOut = packed('heldOut', 'heldOutStarts');
  const { sha256 } = sections;
  if (train === null || heldOut === null || sha256 === undefined) return null;
  if (meta['vocabSize'] !== tokenizer.vocabSize) return null;
  return {
    vocabSize: tokenizer.vocabSize,
    endOfText: tokenizer.endOfText,
    train,
    heldOut,
    sha256: Buffer.from(sha256).toString('hex'),
  };
}

/**
 * Opens documents as token ids: trains or loads the tokenizer and tokenises, or takes both from the cache.
 *
 * An entry's key is the sha256 of what it was made from (files by path, size and time; tokenizer; hold-out share;
 * version of this code). A missing, foreign or damaged entry is rebuilt. Any number of processes may open the
 * same corpus at once: each that finds no entry builds it, and the last rename wins with equal content.
 *
 * The tokenizer is trained on the training split only, so that evaluation is on text nothing has seen.
 */
export async function openCorpus(spec: CorpusSpec, options: OpenCorpusOptions = {}): Promise<OpenedCorpus> {
  const holdout = spec.holdout ?? 0.02;
  if (!(holdout >= 0 && holdout < 1))
    throw new DataConfigError(
      `holdout is ${holdout}`,
      'it is the share of documents kept for evaluation: 0 ≤ holdout < 1',
    );
  const source = options.packed === undefined ? documentSource(spec.origin) : unread;
  const cache = new EntryCache(options);
  const tokenizer =
    options.tokenizer ??
    (await openTokenizer(spec.tokenizer ?? { kind: 'bpe' }, source, holdout, { cache, options }));
  const corpus = await cache.entry(
    'corpus',
    [source.identity, holdout, tokenizer.fingerprint],
    (entry) => corpusFrom(entry, tokenizer),
    () =>
      buildCorpus({
        documents: source.documents(reading('cutting text into tokens', source, options)),
        tokenizer,
        holdout,
      }),
    corpusEntry,
  );
  return {
    tokenizer,
    corpus,
    fromCache: cache.numBuilt === 0,
    pack: (id) => writePackedCorpus(options.cacheFolder ?? tmpdir(), id, corpusEntry(corpus)),
    ...(cache.problem === undefined ? {} : { cacheProblem: cache.problem }),
  };
}
