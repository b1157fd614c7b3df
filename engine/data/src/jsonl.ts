import { basename } from 'node:path';
import type { Document } from './documents.ts';
import { DataLineError } from './errors.ts';
import { readLines, type ReadListener } from './text-lines.ts';

/** The string under `field` of one line. */
function fieldOf(path: string, line: number, json: string, field: string): string {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new DataLineError(path, line, `not JSON (${problem})`, 'each line must be one JSON object');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new DataLineError(path, line, 'not a JSON object', 'each line must be one JSON object');
  const text = (value as Readonly<Record<string, unknown>>)[field];
  if (typeof text === 'string') return text;
  const found = Object.keys(value).join(', ') || 'none';
  throw new DataLineError(
    path,
    line,
    `field '${field}' is ${text === undefined ? 'missing' : 'not a string'}`,
    `fields here: ${found}; set data.field`,
  );
}

/**
 * One document a line of a JSONL file (`.gz`: unzipped): the string under `field`. Blank lines and empty strings are skipped.
 *
 * @param field - name of the top-level member, default `text`
 * @param read - hears how many bytes have been read
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE
 * @throws {DataLineError} TROUPE_DATA_LINE with file:line for a line that is no object with that string
 */
export async function* jsonlDocuments(
  path: string,
  field = 'text',
  read?: ReadListener,
): AsyncGenerator<Document> {
  let lineNumber = 0;
  for await (const line of readLines(path, read)) {
    lineNumber++;
    if (line.trim() === '') continue;
    const text = fieldOf(path, lineNumber, line, field);
    if (text !== '') yield { id: `${basename(path)}:${lineNumber}`, text };
  }
}
