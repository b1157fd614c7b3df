import { basename } from 'node:path';
import { jsonlRecords, stringField } from '../jsonl.ts';
import { oneLine, type TextPair } from './text-pair.ts';

export interface JsonlPairsOptions {
  readonly from: string;
  readonly to: string;
  /** One JSON object a line; `.gz`: unzipped. */
  readonly file: string;
  /** The members that hold source and target. Default: those named as the languages. */
  readonly fields?: readonly [source: string, target: string];
  /** The member that names the document, where an object has it. Default `document`. */
  readonly document?: string;
}

/**
 * Pairs of a JSONL file: two string members of each object. An object that lacks the name of a document is one of its own; a pair with an
 * empty side is passed over.
 *
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE when the file cannot be read
 * @throws {DataLineError} TROUPE_DATA_LINE with file:line for a line that is no object with these strings
 */
export async function* jsonlPairs(options: JsonlPairsOptions): AsyncGenerator<TextPair> {
  const { from, to, file } = options;
  const [sourceField, targetField] = options.fields ?? [from, to];
  for await (const record of jsonlRecords(file)) {
    const source = oneLine(stringField(file, record, sourceField, 'set fields'));
    const target = oneLine(stringField(file, record, targetField, 'set fields'));
    if (source === '' || target === '') continue;
    const named = record.value[options.document ?? 'document'];
    const document = typeof named === 'string' && named !== '' ? named : `${basename(file)}:${record.line}`;
    yield { from, to, source, target, document };
  }
}
