import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { DataSourceError } from './errors.ts';

/** Node's error codes in words, with what to do. */
const explanations: Readonly<Record<string, readonly [problem: string, hint: string]>> = {
  ENOENT: [
    'no such file',
    'check the path: in a topology file it is relative to the folder of that file, in a flag to the folder you are in',
  ],
  EACCES: ['permission denied', 'make the file readable for this user'],
  EISDIR: ['it is a folder', 'name the files in it'],
  Z_DATA_ERROR: ['damaged gzip data', 'compress it again, or drop .gz from the name if it is plain text'],
  Z_BUF_ERROR: ['the gzip data end too early', 'copy the file again'],
  ERR_ENCODING_INVALID_ENCODED_DATA: ['it is not UTF-8', 'convert it, for instance with iconv -t utf-8'],
};

/** Any failure while reading `path`, as the error that names it, in full: that says which folder a relative one was taken from. */
export function unreadable(path: string, error: unknown): DataSourceError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const [problem, hint] = explanations[code] ?? [
    error instanceof Error ? error.message : String(error),
    'check the file and its disk',
  ];
  return new DataSourceError(resolve(path), problem, hint, error);
}

/**
 * The lines of a UTF-8 file without their ends (`\n` or `\r\n`), unzipped when the name ends in `.gz`.
 *
 * Reads as the caller consumes: a file of any size takes one chunk of memory plus one line.
 *
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE when the file is missing, not readable, damaged or not UTF-8
 */
export async function* readLines(path: string): AsyncGenerator<string> {
  const file = createReadStream(path, { highWaterMark: 1 << 20 });
  const gunzip = path.endsWith('.gz') ? createGunzip() : undefined;
  let source: Readable = file;
  if (gunzip !== undefined) {
    file.on('error', (error) => gunzip.destroy(error));
    source = file.pipe(gunzip);
  }
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  try {
    for await (const chunk of source) {
      const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield withoutReturn(line);
    }
    rest += decoder.decode();
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    file.destroy();
    gunzip?.destroy();
  }
  if (rest !== '') yield withoutReturn(rest);
}

const withoutReturn = (line: string): string => (line.endsWith('\r') ? line.slice(0, -1) : line);
