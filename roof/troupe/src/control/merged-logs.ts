import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { logBytesMax, LOGS } from './bounded-log.ts';

/** A line that a process of a run printed. */
export interface LogLine {
  /** ISO 8601: they sort as text. */
  readonly at: string;
  /** `worker/0`, `lead`. */
  readonly node: string;
  readonly text: string;
}

const stamped = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (.*)$/u;
const logName = /^(.+)\.log$/u;
/** `worker-0` → `worker/0`. */
const nodeOf = (name: string): string => name.replace(/-(\d+)$/u, '/$1');

/** Lines without a time are of a process as a whole, as a crash leaves them: as late as their file. */
function lineOf(node: string, line: string, fallback: string): LogLine {
  const [, at = fallback, text = line] = stamped.exec(line) ?? [];
  return { at, node, text };
}

/** By time; lines of one moment in the order of their processes. */
export function merged(lines: readonly LogLine[]): readonly LogLine[] {
  return [...lines].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}

/** A file that grows, as far as it has been read. */
interface Place {
  /** Its first line, by which it is known again: the number of a file goes to the next one once it is removed. */
  readonly head: string;
  /** Behind a whole line. */
  readonly offset: number;
}

/** Bytes of a first line that are enough to tell it from others: its time is among them. */
const HEAD_BYTES = 256;

/** What the processes of a run print, read from its folder, again and again: what is new since the last look. */
export class RunLogs {
  readonly #folder: string;
  readonly #isWanted: (node: string) => boolean;
  readonly #places = new Map<string, Place>();

  constructor(folder: string, isWanted: (node: string) => boolean) {
    this.#folder = join(folder, LOGS);
    this.#isWanted = isWanted;
  }

  /** Names of the processes that have a log. */
  get nodes(): readonly string[] {
    if (!existsSync(this.#folder)) return [];
    return readdirSync(this.#folder)
      .flatMap((name) => logName.exec(name)?.[1] ?? [])
      .map(nodeOf)
      .sort();
  }

  /** New lines, by time. */
  read(): readonly LogLine[] {
    if (!existsSync(this.#folder)) return [];
    const names = readdirSync(this.#folder)
      .filter((name) => logName.test(name))
      .filter((name) => this.#isWanted(nodeOf(name.slice(0, -'.log'.length))));
    return merged(names.flatMap((name) => this.#newIn(name)));
  }

  #newIn(name: string): readonly LogLine[] {
    const path = join(this.#folder, name);
    const node = nodeOf(name.slice(0, -'.log'.length));
    const before = this.#places.get(name);
    if (!existsSync(path)) return [];
    const earlier = `${path}.1`;
    const now = readFrom(path, before);
    // Just begun: the file before is still the one.
    const isEmpty = now.head === '' && existsSync(earlier);
    const read = isEmpty ? readFrom(earlier, before) : now;
    // It was begun since: what was not read yet is in the file before, if that is the one.
    const isNew = before === undefined || read.head !== before.head;
    const text = isNew && !isEmpty && existsSync(earlier) ? readFrom(earlier, before).text : '';
    this.#places.set(name, { head: read.head, offset: read.end });
    const lines = `${text}${read.text}`.split('\n').slice(0, -1);
    const fallback = statSync(path).mtime.toISOString();
    return lines.map((line) => lineOf(node, line, fallback));
  }
}

/** What follows a place in a file, or all of it where that is a place of another one: whole lines. */
function readFrom(
  path: string,
  place: Place | undefined,
): { readonly text: string; readonly end: number; readonly head: string } {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const first = Buffer.alloc(Math.min(size, HEAD_BYTES));
    const head = first.toString('utf8', 0, readSync(file, first, 0, first.length, 0)).split('\n')[0] ?? '';
    const from = place?.head === head && place.offset <= size ? place.offset : 0;
    const start = Math.max(from, size - 2 * logBytesMax);
    const bytes = Buffer.alloc(size - start);
    const length = readSync(file, bytes, 0, bytes.length, start);
    const whole = bytes.lastIndexOf(10, Math.max(0, length - 1)) + 1;
    return { text: bytes.toString('utf8', 0, whole), end: start + whole, head };
  } finally {
    closeSync(file);
  }
}
