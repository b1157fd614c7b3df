import { createHash } from 'node:crypto';
import type { CheckpointReader } from '@troupe/checkpoint';
import { assert } from '@troupe/core';
import {
  DataSourceError,
  loadTokenizer,
  parseTokenizer,
  type DataProgress,
  type DataSource,
  type Tokenizer,
} from '@troupe/data';
import type { FilledTopology, ResolvedTopology } from '@troupe/topology';
import { openTopologyData } from './data.ts';
import { openOwnDocuments } from './own-documents.ts';
import { DataChangedError, DataMovedError, TokenizerDiffersError } from './errors.ts';
import { modelDifferences, type FirstState } from './first-state.ts';

/** What the workers of a run read, decided once: the file of a corpus or of a tokenizer may change while the run goes on. */
export interface RunDataChoice {
  /** Text of `tokenizer.json`; null for synthetic tokens. */
  readonly tokenizer: string | null;
  /** Of the documents; null when none are read. */
  readonly corpusSha256: string | null;
  /** It is packed in the cache of this machine. Default: the files are read. */
  readonly isPacked?: boolean;
}

/**
 * What a corpus is packed under: the same texts, cut by the same tokenizer and split alike, wherever their files lie.
 *
 * @throws {InvariantError} for a run without documents
 */
export function packedId(
  { data }: ResolvedTopology,
  { tokenizer, corpusSha256 }: Pick<RunDataChoice, 'tokenizer' | 'corpusSha256'>,
): string {
  assert(tokenizer !== null && corpusSha256 !== null, 'a corpus that is packed has documents');
  return JSON.stringify([data.source.kind, corpusSha256, sha256Of(tokenizer), data.holdout]);
}

const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A run that goes on (`resumeFrom`) keeps tokenizer and corpus of its checkpoint, one that starts with its weights the tokenizer. */
export interface RunDataOptions extends FirstState {
  /** Texts of an embedding program in place of those that the topology names. */
  readonly documents?: Iterable<string> | AsyncIterable<string>;
  /** Hears how far reading has come, often. */
  readonly progress?: (progress: DataProgress) => void;
  /** Another corpus than the checkpoint's is meant. */
  readonly dataChanged?: boolean;
  readonly warn: (message: string) => void;
}

/** The data of a run, and what its workers need to open the same. */
export interface RunData extends RunDataChoice {
  readonly source: DataSource;
}

/** `data.jsonl` for a topology that reads JSONL files; null when it names no files. */
const fileKey = ({ data: { source } }: ResolvedTopology): string | null =>
  'paths' in source || source.kind === 'parallel' ? `data.${source.kind}` : null;

/** Whether somebody wrote which tokenizer; a default follows the checkpoint. */
const namesTokenizer = ({ source }: ResolvedTopology): boolean =>
  Object.keys(source.places).some((key) => /^data\.tokenizer(?:\.|$)/u.test(key));

/** A tokenizer that would be learnt from the corpus: one of the same size that is learnt already serves as well. */
const isTrained = ({ data: { tokenizer } }: ResolvedTopology): boolean =>
  tokenizer.kind === 'bpe' && tokenizer.file === null;

/** Whether a tokenizer that was learnt has the size that is asked for: its own, or the one that was asked for when a smaller text gave it. */
function isAskedSize(
  { data }: ResolvedTopology,
  { vocabSize }: Tokenizer,
  weightsFrom: CheckpointReader | undefined,
): boolean {
  const there = weightsFrom?.manifest.topology as Partial<Pick<FilledTopology, 'data'>> | undefined;
  const { vocab } = data.tokenizer;
  return vocab === vocabSize || vocab === there?.data?.tokenizer.vocab;
}

/** The tokenizer that a checkpoint carries; null when it has none. */
export async function tokenizerOf(checkpoint: CheckpointReader): Promise<Tokenizer | null> {
  const json = await checkpoint.tokenizer();
  if (json === null) return null;
  return parseTokenizer(json, { name: `the tokenizer.json of checkpoint ${checkpoint.folder}` });
}

/**
 * Opens the data of a run that starts, or that goes on from a checkpoint.
 *
 * DAT-11: what a checkpoint was trained on decides, not where it lies: its tokenizer is taken from it, and documents with another hash are
 * refused.
 *
 * @throws {DataChangedError} TROUPE_DATA_CHANGED with both hashes, unless `dataChanged`
 * @throws {TokenizerDiffersError} TROUPE_DATA_TOKENIZER_DIFFERS when the topology names another one than the weights were trained with
 * @throws {DataMovedError} TROUPE_DATA_UNREADABLE when the files of a checkpoint's corpus are not where they were
 */
export async function openRunData(topology: ResolvedTopology, options: RunDataOptions): Promise<RunData> {
  const { resumeFrom, weightsFrom, documents, warn } = options;
  const reads = documents !== undefined || topology.data.source.kind !== 'synthetic';
  const checkpoint = resumeFrom ?? weightsFrom;
  const own = checkpoint === undefined || !reads ? null : await tokenizerOf(checkpoint);
  const isNamed = resumeFrom === undefined && own !== null && namesTokenizer(topology);
  if (isNamed && isTrained(topology) && !isAskedSize(topology, own, weightsFrom))
    throw new TokenizerDiffersError(weightsFrom?.folder ?? '', own.vocabSize);
  const isOpened = own === null || (isNamed && !isTrained(topology));
  const given = {
    ...(isOpened ? {} : { tokenizer: own }),
    ...(options.progress === undefined ? {} : { progress: options.progress }),
  };
  const opening =
    documents === undefined
      ? openTopologyData(topology, given)
      : openOwnDocuments(topology, documents, given);
  const source = await opening.catch((error: unknown) => {
    const key = fileKey(topology);
    throw error instanceof DataSourceError && resumeFrom !== undefined && key !== null
      ? new DataMovedError(error, key)
      : error;
  });
  if (isNamed && source.tokenizer?.fingerprint !== own.fingerprint)
    throw new TokenizerDiffersError(weightsFrom?.folder ?? '', own.vocabSize);
  if (weightsFrom !== undefined)
    for (const difference of modelDifferences(weightsFrom, topology)) warn(`--from: ${difference}`);
  if (resumeFrom !== undefined && reads) checkCorpus(topology, source, { ...options, resumeFrom });
  return {
    source,
    tokenizer: source.tokenizer === null ? null : JSON.stringify(source.tokenizer.toJson()),
    corpusSha256: source.corpusSha256,
  };
}

function checkCorpus(
  topology: ResolvedTopology,
  { corpusSha256 }: DataSource,
  { resumeFrom, dataChanged = false, warn }: RunDataOptions & { readonly resumeFrom: CheckpointReader },
): void {
  const { folder, manifest } = resumeFrom;
  if (manifest.corpusSha256 === corpusSha256) return;
  const key = fileKey(topology);
  if (manifest.corpusSha256 === undefined) {
    const what = key === null ? 'the text' : `the files of ${key}`;
    warn(`checkpoint ${folder} names no corpus: whether ${what} is what it was trained on cannot be checked`);
    return;
  }
  if (!dataChanged)
    throw new DataChangedError(`checkpoint ${folder}`, manifest.corpusSha256, corpusSha256, key);
  warn(
    `the corpus is another one than that of checkpoint ${folder}, as --data-changed says: from here on the numbers are not those of a run that never stopped`,
  );
}

/**
 * Opens in a worker what the agent has opened.
 *
 * @throws {DataChangedError} TROUPE_DATA_CHANGED when the documents are others by now
 */
export async function openChosenData(topology: ResolvedTopology, choice: RunDataChoice): Promise<DataSource> {
  const tokenizer = choice.tokenizer === null ? null : loadTokenizer(JSON.parse(choice.tokenizer));
  const source = await openTopologyData(topology, {
    ...(tokenizer === null ? {} : { tokenizer }),
    ...(choice.isPacked === true ? { packed: packedId(topology, choice) } : {}),
  });
  if (source.corpusSha256 !== choice.corpusSha256)
    throw new DataChangedError(
      'the start of this run',
      choice.corpusSha256,
      source.corpusSha256,
      fileKey(topology),
    );
  return source;
}
