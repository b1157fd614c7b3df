import { basename } from 'node:path';
import { DataLineError } from '../errors.ts';
import { readLines } from '../text-lines.ts';
import { oneLine, type TextPair } from './text-pair.ts';

export interface TsvPairsOptions {
  readonly from: string;
  readonly to: string;
  /** UTF-8, one pair a line, no header; `.gz`: unzipped. */
  readonly file: string;
}

/**
 * Pairs of a file with a tab between source and target; a third column names the document, else each line is one. Columns behind it are
 * passed over, and so are blank lines and pairs with an empty side.
 *
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE when the file cannot be read
 * @throws {DataLineError} TROUPE_DATA_LINE with file:line for a line without a tab
 */
export async function* tsvPairs({ from, to, file }: TsvPairsOptions): AsyncGenerator<TextPair> {
  const name = basename(file);
  let lineNumber = 0;
  for await (const line of readLines(file)) {
    lineNumber++;
    if (line.trim() === '') continue;
    const [source, target, document] = line.split('\t', 3).map(oneLine);
    if (source === undefined || target === undefined)
      throw new DataLineError(file, lineNumber, 'no tab', 'each line must be: source, tab, target');
    if (source === '' || target === '') continue;
    yield { from, to, source, target, document: document || `${name}:${lineNumber}` };
  }
}
