import {
  closeSync,
  copyFileSync,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { WholeLines } from '../launch/whole-lines.ts';

/** Of a run folder: what its processes print. */
export const LOGS = 'logs';
/** Bytes of a file, of which there are two a process: the one that grows, and the one before. */
export const logBytesMax = 4 * 2 ** 20;
/** A longer line is cut: it is data, not a sentence. */
const LINE_MAX = 8192;

/** `worker/0` → `worker-0.log`. */
export const logNameOf = (node: string): string => `${node.replaceAll('/', '-')}.log`;

/** What a detached process itself prints, where its log is not: `console.log`. */
export const CONSOLE = 'console';

/** As every line begins: `2026-12-01T12:00:00.123Z`. */
const stamp = (): string => new Date().toISOString();

/**
 * What one process prints, in a file of the run folder: a line each, with the time at which the lead heard it.
 *
 * LOG-1: there are at most two files of `bytesMax` a process; the older one goes. LOG-2: a disk that is full ends nothing: what does not
 * fit is lost.
 */
export class BoundedLog {
  readonly #path: string;
  readonly #bytesMax: number;
  #file: number | null = null;
  #bytes = 0;
  readonly #lines = new WholeLines((line) => this.#line(line));

  constructor(folder: string, node: string, bytesMax = logBytesMax) {
    const logs = join(folder, LOGS);
    this.#path = join(logs, logNameOf(node));
    this.#bytesMax = bytesMax;
    try {
      mkdirSync(logs, { recursive: true });
      this.#begin();
    } catch {
      // LOG-2.
    }
  }

  /** Takes what a process printed, wherever it was cut. */
  write(text: string): void {
    this.#lines.push(text);
  }

  /** The process is gone, or its line stands for itself. */
  flush(): void {
    this.#lines.flush();
  }

  close(): void {
    this.flush();
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #line(text: string): void {
    if (this.#file === null) return;
    const bytes = Buffer.from(`${stamp()} ${text.slice(0, LINE_MAX)}\n`);
    try {
      if (this.#bytes + bytes.length > this.#bytesMax) this.#rotate();
      writeSync(this.#file, bytes);
      this.#bytes += bytes.length;
    } catch {
      // LOG-2.
    }
  }

  #begin(): void {
    this.#file = openSync(this.#path, 'a');
    this.#bytes = fstatSync(this.#file).size;
  }

  #rotate(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
    renameSync(this.#path, `${this.#path}.1`);
    this.#begin();
  }
}

/** Moves what a log holds aside once it is too long, where its writer keeps it open to add to it. */
export function boundLog(folder: string, node: string, bytesMax = logBytesMax): void {
  const path = join(folder, LOGS, logNameOf(node));
  try {
    if (statSync(path).size <= bytesMax) return;
    copyFileSync(path, `${path}.1`);
    truncateSync(path);
  } catch {
    // LOG-2.
  }
}
