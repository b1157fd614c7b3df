import { basename } from 'node:path';
import type { Document } from './documents.ts';
import { readLines, type ReadListener } from './text-lines.ts';

export interface TextFileOptions {
  /** `paragraph`: blank lines separate documents; `file`: the whole file is one. Default paragraph. */
  readonly document?: 'paragraph' | 'file';
  /** Hears how many bytes have been read. */
  readonly read?: ReadListener;
}

/**
 * The documents of a UTF-8 text file (`.gz`: unzipped), ids `name#0`, `name#1`, ….
 *
 * Lines inside a document stay separated by `\n`; leading and trailing blank lines go.
 *
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE
 */
export async function* textFileDocuments(
  path: string,
  options: TextFileOptions = {},
): AsyncGenerator<Document> {
  const whole = options.document === 'file';
  let lines: string[] = [];
  let index = 0;
  for await (const line of readLines(path, options.read)) {
    if (whole || line.trim() !== '') lines.push(line);
    else if (lines.length > 0) {
      yield { id: `${basename(path)}#${index++}`, text: lines.join('\n') };
      lines = [];
    }
  }
  const text = whole ? lines.join('\n').trim() : lines.join('\n');
  if (text !== '') yield { id: `${basename(path)}#${index}`, text };
}
