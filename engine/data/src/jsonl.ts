import { basename } from 'node:path';
import type { Document } from './documents.ts';
import { DataLineError } from './errors.ts';
import { readLines, type ReadListener } from './text-lines.ts';

/** The object of one line of a JSONL file. */
export interface JsonlRecord {
  /** From 1. */
  readonly line: number;
  readonly value: Readonly<Record<string, unknown>>;
}

function objectOf(path: string, line: number, json: string): JsonlRecord['value'] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new DataLineError(path, line, `not JSON (${problem})`, 'each line must be one JSON object');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new DataLineError(path, line, 'not a JSON object', 'each line must be one JSON object');
  return value as JsonlRecord['value'];
}

/** The objects of a JSONL file; blank lines are skipped. */
export async function* jsonlRecords(path: string, read?: ReadListener): AsyncGenerator<JsonlRecord> {
  let line = 0;
  for await (const json of readLines(path, read)) {
    line++;
    if (json.trim() !== '') yield { line, value: objectOf(path, line, json) };
  }
}

/** The string under `field` of one line; the error ends in `hint`, which says what to set. */
export function stringField(path: string, { line, value }: JsonlRecord, field: string, hint: string): string {
  const text = value[field];
  if (typeof text === 'string') return text;
  const found = Object.keys(value).join(', ') || 'none';
  throw new DataLineError(
    path,
    line,
    `field '${field}' is ${text === undefined ? 'missing' : 'not a string'}`,
    `fields here: ${found}; ${hint}`,
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
  for await (const record of jsonlRecords(path, read)) {
    const text = stringField(path, record, field, 'set data.field');
    if (text !== '') yield { id: `${basename(path)}:${record.line}`, text };
  }
}
