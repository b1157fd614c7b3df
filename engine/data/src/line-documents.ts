import { basename } from 'node:path';
import type { Document } from './documents.ts';
import { readLines, type ReadListener } from './text-lines.ts';

/** A document a line; empty lines are none. */
export async function* lineDocuments(path: string, read?: ReadListener): AsyncGenerator<Document> {
  let lineNumber = 0;
  for await (const text of readLines(path, read)) {
    lineNumber++;
    if (text.trim() !== '') yield { id: `${basename(path)}:${lineNumber}`, text };
  }
}
