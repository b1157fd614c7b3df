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

/** Hears how many bytes of a file have been read since it was last told. */
export type ReadListener = (bytes: number) => void;

/**
 * The lines of a UTF-8 file without their ends (`\n` or `\r\n`), unzipped when the name ends in `.gz`.
 *
 * Reads as the caller consumes: a file of any size takes one chunk of memory plus one line. A line holds nothing but itself: the engine
 * keeps the whole text alive of which a longer piece is kept, so every line is decoded by itself.
 *
 * @param read - called once a chunk, with bytes of the file as it lies on the disk
 * @throws {DataSourceError} TROUPE_DATA_UNREADABLE when the file is missing, not readable, damaged or not UTF-8
 */
export async function* readLines(path: string, read: ReadListener = () => {}): AsyncGenerator<string> {
  const file = createReadStream(path, { highWaterMark: 1 << 20 });
  const gunzip = path.endsWith('.gz') ? createGunzip() : undefined;
  let source: Readable = file;
  if (gunzip !== undefined) {
    file.on('error', (error) => gunzip.destroy(error));
    source = file.pipe(gunzip);
  }
  const lines = new LineCutter();
  let told = 0;
  try {
    for await (const chunk of source) {
      yield* lines.cut(chunk as Buffer);
      read(file.bytesRead - told);
      told = file.bytesRead;
    }
    const rest = lines.end();
    if (rest !== '') yield rest;
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    file.destroy();
    gunzip?.destroy();
  }
}

const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** Cuts bytes into lines, whatever the chunks they come in: no character has a byte of a newline's value inside. */
class LineCutter {
  /** The start of a line, from earlier chunks. */
  #begun: Buffer[] = [];
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #isFirst = true;

  *cut(chunk: Buffer): Generator<string> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      yield this.#line(chunk.subarray(start, end));
      start = end + 1;
    }
    // A copy, so that the chunk can go.
    if (start < chunk.length) this.#begun.push(Buffer.from(chunk.subarray(start)));
  }

  end(): string {
    return this.#line(Buffer.alloc(0));
  }

  #line(last: Buffer): string {
    const whole = this.#begun.length === 0 ? last : Buffer.concat([...this.#begun, last]);
    this.#begun = [];
    const line = whole.at(-1) === RETURN ? whole.subarray(0, -1) : whole;
    const text = this.#decoder.decode(line);
    // Only the first line of a file can begin with the mark of its byte order.
    const isMarked = this.#isFirst && text.startsWith('\ufeff');
    this.#isFirst = false;
    return isMarked ? text.slice(1) : text;
  }
}
