import { tmpdir } from 'node:os';
import { bytesTokenizer } from '../bytes-tokenizer.ts';
import { trainBpe } from '../bpe-trainer.ts';
import type { PackedTokens } from '../corpus.ts';
import { EntryCache } from '../entry-cache.ts';
import { DataConfigError, TokenizerVocabError } from '../errors.ts';
import { parseTokenizer, readTokenizer } from '../load-tokenizer.ts';
import { GrowingArray } from '../growing-array.ts';
import { writePackedCorpus } from '../packed-corpus.ts';
import type { OpenCorpusOptions, TokenizerSpec } from '../open-corpus.ts';
import { readParallel } from '../parallel/parallel-text.ts';
import { refuseEmpty, sourceIdentity, type ParallelSource } from '../parallel/parallel-source.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { isMonolingual, monolingualIdentity, readMonolingual, type TextSource } from './monolingual.ts';
import { specialNames, withSpecialTokens } from './special-tokens.ts';
import { encodeTaskTexts, taskCorpusEntry, taskCorpusFrom, type TaskCorpus } from './task-corpus.ts';
import { taskTexts, temperedTexts, type TaskTexts } from './task-texts.ts';
import { lengthOf, tokensOf } from './token-texts.ts';

/** Tokens that a BPE has before the first merge: 256 bytes and the end of a text. */
const SMALLEST_BPE = 257;

export interface TaskCorpusSpec {
  readonly parallel: readonly TextSource[];
  readonly tokenizer?: TokenizerSpec;
  /** Expected share of documents held out, 0 ≤ holdout < 1. Default 0.02. */
  readonly holdout?: number;
  /** Rows of the model's embedding: text and special tokens fit into them. */
  readonly modelVocab: number;
}

export interface OpenedTaskCorpus {
  /** With the special tokens of tasks. */
  readonly tokenizer: Tokenizer;
  readonly corpus: TaskCorpus;
  readonly fromCache: boolean;
  readonly cacheProblem?: string;
  /** Packs it for machines without its files. @returns the path in the cache folder */
  readonly pack: (id: string) => string;
}

/** What texts depend on; null: unknown, so nothing made of them is kept on disk. @throws for a file that is missing */
const textIdentity = (source: TextSource): string | null =>
  isMonolingual(source) ? monolingualIdentity(source) : sourceIdentity(source);

/** What can be known of texts without reading them. @throws {DataSourceError} TROUPE_DATA_UNREADABLE for a file that is missing or empty */
export function checkTexts(sources: readonly TextSource[]): void {
  for (const source of sources) {
    textIdentity(source);
    if (source.kind === 'lines') [source.source, source.target].forEach(refuseEmpty);
    if ('file' in source) refuseEmpty(source.file);
  }
}

async function readTexts(sources: readonly TextSource[], holdout: number): Promise<TaskTexts> {
  const pairs = sources.filter((source): source is ParallelSource => !isMonolingual(source));
  const parallel = await readParallel({ sources: pairs, holdout });
  return taskTexts(parallel, await readMonolingual(sources.filter(isMonolingual)), holdout);
}

/** What is made of texts, which are read only where something is not in the cache. */
class Opening {
  readonly #spec: TaskCorpusSpec;
  readonly #options: OpenCorpusOptions;
  readonly #holdout: number;
  readonly #identity: string | null;
  readonly cache: EntryCache;
  #texts: Promise<TaskTexts> | undefined;

  constructor(spec: TaskCorpusSpec, options: OpenCorpusOptions) {
    this.#spec = spec;
    this.#options = options;
    this.#holdout = spec.holdout ?? 0.02;
    const identities = options.packed === undefined ? spec.parallel.map(textIdentity) : [null];
    this.#identity = identities.includes(null) ? null : identities.join('\n');
    this.cache = new EntryCache(options);
  }

  #read(): Promise<TaskTexts> {
    this.#texts ??= readTexts(this.#spec.parallel, this.#holdout);
    return this.#texts;
  }

  /** The tokenizer of a run that goes on has its special tokens already. */
  async tokenizer(): Promise<Tokenizer> {
    return (
      this.#options.tokenizer ??
      this.cache.entry(
        'tokenizer',
        [
          'tasks',
          this.#identity,
          this.#holdout,
          JSON.stringify(this.#spec.tokenizer ?? {}),
          this.#spec.modelVocab,
        ],
        ({ sections }) => parseTokenizer(sections['json'] as Uint8Array),
        () => this.#makeTokenizer(),
        (tokenizer) => ({
          meta: {},
          sections: { json: new TextEncoder().encode(JSON.stringify(tokenizer.toJson())) },
        }),
      )
    );
  }

  async #makeTokenizer(): Promise<Tokenizer> {
    const { tokenizer: spec = { kind: 'bpe' }, modelVocab } = this.#spec;
    const read = await this.#read();
    const names = specialNames([...read.languages.keys()]);
    if (spec.kind === 'bytes') return withSpecialTokens(bytesTokenizer(), names);
    if (spec.file !== undefined) return withSpecialTokens(readTokenizer(spec.file), names);
    // A BPE as large as the model leaves room for the special tokens; any other has the size that was asked for.
    const asked = spec.vocab ?? modelVocab;
    const vocab = asked === modelVocab ? modelVocab - names.length : asked;
    if (vocab < SMALLEST_BPE) throw new TokenizerVocabError(SMALLEST_BPE + names.length, modelVocab);
    if (vocab + names.length > modelVocab) throw new TokenizerVocabError(vocab + names.length, modelVocab);
    const task = 'learning a tokenizer';
    const trained = await trainBpe(temperedTexts(read), {
      vocab,
      progress: (done) => this.#options.progress?.({ task, unit: 'tokens', done, of: vocab }),
    });
    return withSpecialTokens(trained, names);
  }

  corpus(tokenizer: Tokenizer): Promise<TaskCorpus> {
    return this.cache.entry(
      'corpus',
      ['tasks', this.#identity, this.#holdout, tokenizer.fingerprint],
      taskCorpusFrom,
      async () => {
        let done = 0;
        return encodeTaskTexts(await this.#read(), tokenizer, (characters) => {
          done += characters;
          this.#options.progress?.({ task: 'cutting text into tokens', unit: 'bytes', done, of: null });
        });
      },
      taskCorpusEntry,
    );
  }
}

/**
 * Opens parallel text as tokens: reads it, learns or loads the tokenizer, adds special tokens behind its own, and encodes; or takes all
 * of it from the cache without reading a text.
 *
 * @throws {TokenizerVocabError} TROUPE_DATA_VOCAB when tokens and special tokens are more than the model has
 * @throws as readParallel
 */
export async function openTaskCorpus(
  spec: TaskCorpusSpec,
  options: OpenCorpusOptions,
): Promise<OpenedTaskCorpus> {
  if (spec.parallel.length === 0)
    throw new DataConfigError('tasks without texts', 'name the texts in data.parallel');
  const opening = new Opening(spec, options);
  const opened = await opening.tokenizer();
  const corpus = await opening.corpus(opened);
  // A tokenizer that was given may know none of these languages.
  const tokenizer = withSpecialTokens(opened, specialNames([...corpus.languages.keys()]));
  if (tokenizer.vocabSize > spec.modelVocab)
    throw new TokenizerVocabError(tokenizer.vocabSize, spec.modelVocab);
  const { numBuilt, problem } = opening.cache;
  return {
    tokenizer,
    corpus,
    fromCache: numBuilt === 0,
    pack: (id) => writePackedCorpus(options.cacheFolder ?? tmpdir(), id, taskCorpusEntry(corpus)),
    ...(problem === undefined ? {} : { cacheProblem: problem }),
  };
}

/** All texts of a split one after the other, each with its end, for statistics. */
export function packedSplit(
  { languages }: TaskCorpus,
  split: 'train' | 'heldOut',
  end: number,
): PackedTokens {
  const tokens = new GrowingArray((length) => new Int32Array(length));
  const documentStarts = new GrowingArray((length) => new Int32Array(length));
  for (const texts of languages.values()) {
    const { numTrain, starts } = texts;
    const [first, last] = split === 'train' ? [0, numTrain] : [numTrain, starts.length - 1];
    for (let text = first; text < last; text++) {
      documentStarts.push(tokens.length);
      tokens.append(tokensOf(texts, text, 0, lengthOf(texts, text)));
      tokens.push(end);
    }
  }
  return { tokens: tokens.finish(), documentStarts: documentStarts.finish() };
}
