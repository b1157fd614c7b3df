import { closeSync, openSync, writeSync } from 'node:fs';
import type { ProfileRecord } from '@troupe/telemetry';
import type { Logger } from '@troupe/core';

/** Written in pieces of about this many characters; what is not written yet is all that recording keeps in memory. */
const FLUSH_CHARS = 1 << 16;
/** Most bytes of one process's part: some two million records, more than a viewer opens. */
export const PART_BYTES_MAX = 512 * 2 ** 20;

/**
 * The records of one process, appended to a file of its own while it runs.
 *
 * PRO-3: memory stays below one piece; at `bytesMax` recording ends and says so. A disk that fails costs the profile, not the run.
 */
export class PartFile {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #bytesMax: number;
  #handle: number | null = null;
  /** A killed process before this one may have left half a line. */
  #pending: string[] = ['\n'];
  #pendingChars = 0;
  #bytes = 0;
  #isTruncated = false;

  constructor(path: string, logger: Logger, bytesMax: number = PART_BYTES_MAX) {
    this.#path = path;
    this.#logger = logger;
    this.#bytesMax = bytesMax;
    this.#try(() => (this.#handle = openSync(path, 'a')));
  }

  write(record: ProfileRecord): void {
    if (this.#isTruncated || this.#handle === null) return;
    const line = `${JSON.stringify(record)}\n`;
    this.#pending.push(line);
    this.#pendingChars += line.length;
    if (this.#pendingChars >= FLUSH_CHARS) this.flush();
    if (this.#bytes + this.#pendingChars > this.#bytesMax) {
      this.#isTruncated = true;
      this.#logger.warn('profile is full', { path: this.#path, bytesMax: this.#bytesMax });
    }
  }

  close(): void {
    if (this.#handle === null) return;
    const end: ProfileRecord = { kind: 'end', isTruncated: this.#isTruncated };
    this.#pending.push(`${JSON.stringify(end)}\n`);
    this.flush();
    const handle = this.#handle;
    if (handle !== null) this.#try(() => closeSync(handle));
    this.#handle = null;
  }

  flush(): void {
    const handle = this.#handle;
    if (handle === null) return;
    const text = this.#pending.join('');
    this.#pending = [];
    this.#pendingChars = 0;
    this.#try(() => (this.#bytes += writeSync(handle, text)));
  }

  #try(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#handle = null;
      this.#logger.warn('no more profile', {
        path: this.#path,
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
}
