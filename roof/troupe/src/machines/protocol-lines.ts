import { StringDecoder } from 'node:string_decoder';

/**
 * Begins every line that is meant: shells, modules and profiles print on the same streams. A space keeps it from being the start of a word.
 */
const MARK = '@troupe ';

/** Longest line, in characters: a tokenizer travels in one. */
export const lineMax = 256 * 1024 * 1024;

export const lineOf = (message: object): string => `${MARK}${JSON.stringify(message)}\n`;

/** Why nothing more can be read. */
export class LineError extends Error {
  override readonly name = 'LineError';
}

/**
 * Takes a stream of bytes apart into messages, and into lines that somebody else has printed.
 *
 * LIN-1: what is not marked is never taken for a message, and what is marked and damaged, or longer than the limit, ends the reading.
 */
export class ProtocolLines<T extends { readonly type: string }> {
  readonly #message: (message: T) => void;
  readonly #other: (line: string) => void;
  readonly #max: number;
  readonly #decoder = new StringDecoder('utf8');
  #parts: string[] = [];
  #length = 0;

  /** @param other - gets lines that are no message */
  constructor(message: (message: T) => void, other: (line: string) => void, max = lineMax) {
    this.#message = message;
    this.#other = other;
    this.#max = max;
  }

  /** @throws {LineError} for a message that cannot be read; nothing may be pushed after it */
  push(bytes: Uint8Array): void {
    const [first = '', ...lines] = this.#decoder.write(Buffer.from(bytes)).split('\n');
    this.#add(first);
    for (const line of lines) {
      const whole = this.#parts.join('');
      this.#parts = [];
      this.#length = 0;
      this.#read(whole.replace(/\r$/u, ''));
      this.#add(line);
    }
  }

  #add(part: string): void {
    this.#length += part.length;
    if (this.#length > this.#max) throw new LineError(`a line of more than ${this.#max} characters`);
    if (part !== '') this.#parts.push(part);
  }

  #read(line: string): void {
    // What was printed without an end of line stands before a message.
    const start = line.indexOf(MARK);
    if (start < 0) {
      if (line !== '') this.#other(line);
      return;
    }
    if (start > 0) this.#other(line.slice(0, start));
    let found: unknown;
    try {
      found = JSON.parse(line.slice(start + MARK.length));
    } catch {
      throw new LineError(`a line that is cut or damaged, of ${line.length} characters`);
    }
    if (typeof found !== 'object' || found === null || !('type' in found) || typeof found.type !== 'string')
      throw new LineError('a line without a type');
    this.#message(found as T);
  }
}
