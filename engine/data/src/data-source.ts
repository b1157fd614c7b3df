import { NotBuiltError } from '@troupe/core';
import type { BatchSource } from './batch.ts';
import { bytesTokenizer } from './bytes-tokenizer.ts';
import { corpusBatches } from './corpus-batches.ts';
import type { Corpus } from './corpus.ts';
import { documentSource, type DocumentOrigin } from './document-source.ts';
import { DataConfigError, TokenizerVocabError } from './errors.ts';
import { readTokenizer } from './load-tokenizer.ts';
import { openCorpus, type OpenCorpusOptions, type TokenizerSpec } from './open-corpus.ts';
import { bigramCrossEntropy, unigramCrossEntropy, unigramEntropy } from './statistics.ts';
import { makeTasks } from './tasks/make-tasks.ts';
import type { TextSource } from './tasks/monolingual.ts';
import { checkTexts, openTaskCorpus, packedSplit } from './tasks/open-tasks.ts';
import { specialIds } from './tasks/special-tokens.ts';
import { taskBatches, type TaskPart } from './tasks/task-batches.ts';
import type { TaskSpec } from './tasks/task-spec.ts';
import type { Tokenizer } from './tokenizer.ts';
import { zipfBatches, zipfEntropy } from './zipf-batches.ts';

/** The `data:` section of a topology with what the other sections add. */
export interface DataConfig extends DocumentOrigin {
  /** Tokens drawn at random instead of documents. */
  readonly synthetic?: 'zipf';
  /** Texts in several languages, for `tasks`. */
  readonly parallel?: readonly TextSource[];
  /** What is learnt of `parallel`, a batch of one task each. */
  readonly tasks?: readonly TaskSpec[];
  readonly tokenizer?: TokenizerSpec;
  /** Share of documents held out. Default 0.02. */
  readonly holdout?: number;
  /** Not built: refused by name. */
  readonly parquet?: unknown;
  readonly tokens?: unknown;
  /** Positions of a sequence. */
  readonly seqLen: number;
  /** Positions of what an encoder reads; null (default): the model has none. */
  readonly encoderSeqLen?: number | null;
  /** Sequences of a global batch. */
  readonly batch: number;
  readonly seed: number;
  /** Rows of the model's embedding; needed for synthetic tokens, checked against the tokenizer otherwise. */
  readonly modelVocab?: number;
}

/** What a task has in one language, or in one pair of them. */
export interface TaskShare {
  readonly task: string;
  readonly language: string;
  /** Items of an epoch: pairs, or pieces of texts. */
  readonly items: number;
  readonly heldOutItems: number;
  /** Texts or pairs of training that are left out, since no window holds them or a side has nothing to learn from. */
  readonly tooLong: number;
  readonly tooShort: number;
}

/** Sizes, and what simple models reach, in nats a token: a loss below the bigram's has learnt from context. */
export interface DataStatistics {
  readonly numTrainTokens: number;
  readonly numHeldOutTokens: number;
  readonly numTrainDocuments: number;
  readonly numHeldOutDocuments: number;
  /** Entropy of the held-out tokens' own frequencies; of the training tokens without a held-out split. */
  readonly unigramEntropy: number;
  /** Held-out tokens under training counts, add-one; null without a held-out split. */
  readonly unigramCrossEntropy: number | null;
  /** Held-out tokens under training counts, Witten–Bell; null without a held-out split. */
  readonly bigramCrossEntropy: number | null;
}

export interface DataSource {
  /** null for synthetic tokens. */
  readonly tokenizer: Tokenizer | null;
  readonly batches: BatchSource;
  /** Of the documents as they were read ({@link Corpus.sha256}); null for synthetic tokens, which are read nowhere. */
  readonly corpusSha256: string | null;
  /** True when nothing had to be built. */
  readonly fromCache: boolean;
  /** Why the cache could not be written, if so. */
  readonly cacheProblem?: string;
  /** Packs the token ids of documents for machines that lack their files; absent where there are no documents. @returns the path in the cache folder */
  readonly pack?: (id: string) => string;
  /** What each task has in each language; absent without tasks. */
  readonly tasks?: readonly TaskShare[];
  /** Counts all tokens when called. */
  statistics(): DataStatistics;
}

/**
 * Opens what a topology's `data:` names, ready to be batched.
 *
 * @throws {DataConfigError} TROUPE_DATA_CONFIG · {@link DataSourceError} TROUPE_DATA_UNREADABLE ·
 *   {@link TokenizerVocabError} TROUPE_DATA_VOCAB · {@link CorpusTooSmallError} TROUPE_DATA_TOO_SMALL
 * @throws {NotBuiltError} TROUPE_NOT_BUILT for `parquet` and `tokens`
 */
export async function openDataSource(
  config: DataConfig,
  options: OpenCorpusOptions = {},
): Promise<DataSource> {
  for (const kind of ['parquet', 'tokens'] as const)
    if (config[kind] !== undefined)
      throw new NotBuiltError(`data.${kind}`, 'use source: wordnet, text: PATH or jsonl: PATH');
  refuseUnread(config);
  if (config.synthetic !== undefined) return openSynthetic(config);
  if (config.tasks !== undefined) return openTasks(config, config.tasks, options);
  const { tokenizer: spec, modelVocab } = config;
  const isGiven = options.tokenizer !== undefined || spec?.kind === 'bytes' || spec?.file !== undefined;
  const wanted = isGiven ? 0 : (spec?.vocab ?? 0);
  // Before minutes of training a tokenizer that cannot be used.
  if (modelVocab !== undefined && wanted > modelVocab) throw new TokenizerVocabError(wanted, modelVocab);
  const opened = await openCorpus(
    {
      origin: config,
      ...(spec === undefined ? {} : { tokenizer: spec }),
      ...(config.holdout === undefined ? {} : { holdout: config.holdout }),
    },
    options,
  );
  const { tokenizer, corpus } = opened;
  if (modelVocab !== undefined && tokenizer.vocabSize > modelVocab)
    throw new TokenizerVocabError(tokenizer.vocabSize, modelVocab);
  return {
    tokenizer,
    batches: corpusBatches(corpus, config),
    corpusSha256: corpus.sha256,
    fromCache: opened.fromCache,
    pack: opened.pack,
    ...(opened.cacheProblem === undefined ? {} : { cacheProblem: opened.cacheProblem }),
    statistics: () => statisticsOf(corpus),
  };
}

/**
 * What can be known without reading documents: files that are missing, a tokenizer.json that cannot be used, more tokens than the
 * model has.
 *
 * @throws as {@link openDataSource}
 */
export async function checkDataSource(config: DataConfig): Promise<void> {
  if (config.synthetic !== undefined || config.parquet !== undefined || config.tokens !== undefined) return;
  refuseUnread(config);
  if (config.tasks === undefined) documentSource(config);
  else checkTexts(config.parallel ?? []);
  const { tokenizer: spec, modelVocab = Infinity } = config;
  const tokenizer =
    spec?.kind === 'bytes' ? bytesTokenizer() : spec?.file === undefined ? null : readTokenizer(spec.file);
  const numTokens = tokenizer?.vocabSize ?? spec?.vocab ?? 0;
  if (numTokens > modelVocab) throw new TokenizerVocabError(numTokens, modelVocab);
  // What only the library finds wrong with a file, it finds when it loads it.
  await tokenizer?.encode('');
}

async function openTasks(
  config: DataConfig,
  specs: readonly TaskSpec[],
  options: OpenCorpusOptions,
): Promise<DataSource> {
  const { tokenizer: spec, holdout, modelVocab, seqLen, batch, seed, parallel = [] } = config;
  if (modelVocab === undefined)
    throw new DataConfigError('tasks without a vocabulary', 'pass modelVocab (model.vocab)');
  const { tokenizer, corpus, ...opened } = await openTaskCorpus(
    {
      parallel,
      modelVocab,
      ...(spec === undefined ? {} : { tokenizer: spec }),
      ...(holdout === undefined ? {} : { holdout }),
    },
    options,
  );
  const ids = await specialIds(tokenizer, [...corpus.languages.keys()]);
  const shape = { source: config.encoderSeqLen ?? null, target: seqLen };
  const tasks = makeTasks(specs, { corpus, ids, shape, seed });
  const { vocabSize } = tokenizer;
  return {
    tokenizer,
    batches: taskBatches({ tasks, shape, batch, seed, vocabSize, end: ids.end }),
    corpusSha256: corpus.sha256,
    ...opened,
    tasks: tasks.flatMap(({ name, parts }) => parts.map((part) => shareOf(name, part))),
    statistics: () =>
      statisticsOf({
        vocabSize,
        train: packedSplit(corpus, 'train', ids.end),
        heldOut: packedSplit(corpus, 'heldOut', ids.end),
      }),
  };
}

const shareOf = (task: string, { language, train, heldOut }: TaskPart): TaskShare => ({
  task,
  language,
  items: train.count,
  heldOutItems: heldOut.count,
  tooLong: train.tooLong,
  tooShort: train.tooShort,
});

/** An encoder must have something to read: documents alone have no source. */
function refuseUnread({ encoderSeqLen, synthetic, tasks }: DataConfig): void {
  if (encoderSeqLen == null || synthetic !== undefined || tasks !== undefined) return;
  throw new DataConfigError(
    'documents, and a model with an encoder, which has nothing to read in them',
    'name texts in data.parallel with data.tasks (denoising needs one language only), or leave model.encoder out',
  );
}

function statisticsOf({
  train,
  heldOut,
  vocabSize,
}: Pick<Corpus, 'train' | 'heldOut' | 'vocabSize'>): DataStatistics {
  const measured = heldOut.tokens.length > 1;
  return {
    numTrainTokens: train.tokens.length,
    numHeldOutTokens: heldOut.tokens.length,
    numTrainDocuments: train.documentStarts.length,
    numHeldOutDocuments: heldOut.documentStarts.length,
    unigramEntropy: unigramEntropy(measured ? heldOut.tokens : train.tokens),
    unigramCrossEntropy: measured ? unigramCrossEntropy(train.tokens, heldOut.tokens, vocabSize) : null,
    bigramCrossEntropy: measured ? bigramCrossEntropy(train.tokens, heldOut.tokens, vocabSize) : null,
  };
}

function openSynthetic(config: DataConfig): DataSource {
  const { synthetic, modelVocab, seqLen, batch, seed, encoderSeqLen = null } = config;
  if (synthetic !== 'zipf')
    throw new DataConfigError(`unknown synthetic data ${String(synthetic)}`, 'known: zipf');
  const others = (['source', 'text', 'jsonl'] as const).filter((name) => config[name] !== undefined);
  if (others.length > 0)
    throw new DataConfigError(`synthetic together with ${others.join(', ')}`, 'set exactly one of them');
  if (modelVocab === undefined)
    throw new DataConfigError('synthetic tokens without a vocabulary', 'pass modelVocab (model.vocab)');
  const batches = zipfBatches({ vocab: modelVocab, seqLen, batch, seed, encoderSeqLen });
  return {
    tokenizer: null,
    batches,
    corpusSha256: null,
    fromCache: false,
    statistics: () => ({
      numTrainTokens: batches.numTrainWindows * seqLen,
      numHeldOutTokens: batches.numEvalTargets,
      numTrainDocuments: batches.numTrainWindows,
      numHeldOutDocuments: batches.numEvalSequences,
      unigramEntropy: zipfEntropy(modelVocab),
      unigramCrossEntropy: zipfEntropy(modelVocab),
      bigramCrossEntropy: zipfEntropy(modelVocab),
    }),
  };
}
