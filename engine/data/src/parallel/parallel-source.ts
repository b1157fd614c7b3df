import { statSync } from 'node:fs';
import { DataSourceError } from '../errors.ts';
import { describeFiles } from '../file-identity.ts';
import { unreadable } from '../text-lines.ts';
import { helpPairs, type HelpPairsOptions } from './help-pages.ts';
import { jsonlPairs, type JsonlPairsOptions } from './jsonl-pairs.ts';
import { linePairs, type LinePairsOptions } from './line-pairs.ts';
import { poPairs, type PoPairsOptions } from './po-pairs.ts';
import type { TextPair, TextPairs } from './text-pair.ts';
import { tsvPairs, type TsvPairsOptions } from './tsv-pairs.ts';
import { typescriptIdentity, typescriptPairs } from './typescript-messages.ts';

/** Where pairs of texts come from. Paths are relative to the folder of the process. */
export type ParallelSource =
  | ({ readonly kind: 'lines' } & LinePairsOptions)
  | ({ readonly kind: 'tsv' } & TsvPairsOptions)
  | ({ readonly kind: 'jsonl' } & JsonlPairsOptions)
  | ({ readonly kind: 'po' } & PoPairsOptions)
  | ({ readonly kind: 'help' } & HelpPairsOptions)
  | { readonly kind: 'typescript'; readonly languages?: readonly string[] }
  | { readonly kind: 'pairs'; readonly pairs: Iterable<TextPair> };

/** One line for messages and caches: what the source is, and what its content depends on; null for pairs of the program's own. */
export function sourceIdentity(source: ParallelSource): string | null {
  switch (source.kind) {
    case 'lines':
      return identityOf(source, [source.source, source.target]);
    case 'tsv':
    case 'jsonl':
    case 'po':
      return identityOf(source, [source.file]);
    case 'help':
      return identityOf(source, [source.folder]);
    case 'typescript':
      return `${JSON.stringify(source)} ${typescriptIdentity()}`;
    default:
      return null;
  }
}

const identityOf = (source: ParallelSource, paths: readonly string[]): string =>
  `${JSON.stringify(source)} ${describeFiles(paths).identity}`;

/** The file that a source is about; null where it is none. */
export function fileOf(source: ParallelSource): string | null {
  if (source.kind === 'lines') return source.source;
  return 'file' in source ? source.file : null;
}

/** The pairs of a source, from the start. Errors as the reader of its kind says. */
export function pairsOf(source: ParallelSource): TextPairs {
  switch (source.kind) {
    case 'lines':
      refuseEmpty(source.target);
      return linePairs(source);
    case 'tsv':
      return tsvPairs(source);
    case 'jsonl':
      return jsonlPairs(source);
    case 'po':
      return poPairs(source);
    case 'help':
      return helpPairs(source);
    case 'typescript':
      return typescriptPairs(source.languages);
    default:
      return source.pairs;
  }
}

/** An empty file is a mistake of its own, not one of line counts. */
export function refuseEmpty(path: string): void {
  let bytes: number;
  try {
    bytes = statSync(path).size;
  } catch (error) {
    throw unreadable(path, error);
  }
  if (bytes === 0) throw new DataSourceError(path, 'it is empty', 'name a file that holds text');
}
