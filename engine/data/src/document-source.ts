import { stringDocuments, type Document, type Documents } from './documents.ts';
import { DataConfigError } from './errors.ts';
import { describeFiles } from './file-identity.ts';
import { jsonlDocuments } from './jsonl.ts';
import { textFileDocuments, type TextFileOptions } from './text-files.ts';
import type { ReadListener } from './text-lines.ts';
import { wordnetDocuments, wordnetIdentity } from './wordnet.ts';

/** Which documents; exactly one of the members `source`, `text`, `jsonl` is set. */
export interface DocumentOrigin {
  /** `wordnet`, or documents of the program's own. Own ones are read once and kept in memory, never cached on disk. */
  readonly source?: 'wordnet' | Iterable<string> | AsyncIterable<string>;
  /** Text files, `.gz` too. */
  readonly text?: string | readonly string[];
  /** How a text file is cut. Default paragraph. */
  readonly document?: TextFileOptions['document'];
  /** JSONL files, `.gz` too. */
  readonly jsonl?: string | readonly string[];
  /** The member of each JSONL line that holds the text. Default `text`. */
  readonly field?: string;
}

/** Documents that can be read from the start again and again. */
export interface DocumentSource {
  /** Changes whenever the documents may have changed; null: unknown, so nothing made of them is kept on disk. */
  readonly identity: string | null;
  /** Of all files as they lie on the disk; null: unknown. */
  readonly sizeBytes: number | null;
  /** @param read - hears how many bytes have been read, where their number is known */
  documents(read?: ReadListener): Documents;
}

const listOf = (paths: string | readonly string[]): readonly string[] =>
  typeof paths === 'string' ? [paths] : paths;

async function* inTurn(
  paths: readonly string[],
  read: (path: string) => AsyncIterable<Document>,
): AsyncGenerator<Document> {
  for (const path of paths) yield* read(path);
}

/** Keeps what a one-way stream yields, so that it can be read twice. */
function remembered(texts: Iterable<string> | AsyncIterable<string>): DocumentSource {
  let kept: Promise<Document[]> | undefined;
  const collect = async (): Promise<Document[]> => {
    const documents: Document[] = [];
    for await (const document of stringDocuments(texts)) documents.push(document);
    return documents;
  };
  return {
    identity: null,
    sizeBytes: null,
    documents: async function* () {
      kept ??= collect();
      yield* await kept;
    },
  };
}

/**
 * Opens the documents that a configuration names.
 *
 * @throws {DataConfigError} TROUPE_DATA_CONFIG when none or several are named, or an unknown source
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE for a missing file or package
 */
export function documentSource(origin: DocumentOrigin): DocumentSource {
  const { source, text, jsonl } = origin;
  const named = Object.entries({ source, text, jsonl }).filter(([, value]) => value !== undefined);
  if (named.length !== 1)
    throw new DataConfigError(
      named.length === 0 ? 'no source' : `several sources (${named.map(([name]) => name).join(', ')})`,
      'set exactly one of source: wordnet, text: PATH, jsonl: PATH',
    );
  if (text !== undefined) {
    const document = origin.document ?? 'paragraph';
    const paths = listOf(text);
    const { identity, sizeBytes } = describeFiles(paths);
    return {
      identity: `text ${document}\n${identity}`,
      sizeBytes,
      documents: (read = () => {}) => inTurn(paths, (path) => textFileDocuments(path, { document, read })),
    };
  }
  if (jsonl !== undefined) {
    const field = origin.field ?? 'text';
    const paths = listOf(jsonl);
    const { identity, sizeBytes } = describeFiles(paths);
    return {
      identity: `jsonl ${JSON.stringify(field)}\n${identity}`,
      sizeBytes,
      documents: (read) => inTurn(paths, (path) => jsonlDocuments(path, field, read)),
    };
  }
  if (source === 'wordnet')
    return { identity: wordnetIdentity(), sizeBytes: null, documents: wordnetDocuments };
  if (source === undefined || typeof source === 'string')
    throw new DataConfigError(
      `unknown source ${source}`,
      'the built-in source is wordnet; for files use text: or jsonl:',
    );
  return remembered(source);
}
