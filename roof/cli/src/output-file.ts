import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { StorageFullError } from '@troupe/core';
import { UsageError } from './errors.ts';

/** What the system says of a folder or file that cannot be written, in words. */
const reasons: Readonly<Record<string, string>> = {
  EROFS: 'its file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
};

/** `its file system is read-only (EROFS)` */
export const reasonOf = (code: string): string => `${reasons[code] ?? 'the system refuses'} (${code})`;

const full = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

export const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

/** @throws {UsageError} when it cannot be written to */
function mustBeWritable(said: string, path: string): void {
  try {
    accessSync(path, constants.W_OK);
  } catch (error) {
    const code = codeOf(error);
    throw new UsageError(`${said}: cannot write to '${path}': ${reasonOf(code)}`);
  }
}

/**
 * A file that a command was told to write.
 *
 * OUT-1: it goes into a folder that exists; any obstacle is reported before the work starts. It appears whole or not at all.
 */
export class OutputFile {
  readonly path: string;
  readonly #said: string;
  /** null: a file of that name is replaced. */
  readonly #taken: string | null;

  /**
   * @param name - what named it, for people: `--trace`
   * @param taken - what to do about a file of that name; absent: it is replaced
   * @throws {UsageError} TROUPE_USAGE: no such folder, a folder of that name, a file that must not be replaced, nothing may be written there
   */
  constructor(name: string, path: string, taken: string | null = null) {
    this.path = path;
    this.#said = `${name} '${path}'`;
    this.#taken = taken;
    const folder = dirname(path);
    if (path.endsWith('/') || (existsSync(path) && statSync(path).isDirectory()))
      throw new UsageError(`${this.#said} is a folder; name a file in it`);
    if (!existsSync(folder))
      throw new UsageError(`${this.#said}: there is no folder '${folder}'; make it first`);
    if (!statSync(folder).isDirectory())
      throw new UsageError(`${this.#said}: '${folder}' is not a folder; name a file in one`);
    this.#mustBeFree();
    mustBeWritable(this.#said, this.#isSpecial ? path : folder);
  }

  /** @throws {StorageFullError | UsageError} the file that was there is still there */
  write(text: string): void {
    this.#mustBeFree();
    try {
      if (this.#isSpecial) writeFileSync(this.path, text);
      else this.#replace(text);
    } catch (error) {
      const code = codeOf(error);
      if (full.has(code)) throw new StorageFullError(this.path, { cause: error });
      throw new UsageError(`cannot write ${this.#said}: ${reasonOf(code)}`);
    }
  }

  #mustBeFree(): void {
    if (this.#taken !== null && existsSync(this.path))
      throw new UsageError(`${this.#said} exists; ${this.#taken}`);
  }

  /** A terminal, a pipe or /dev/null is written to, never renamed over. */
  get #isSpecial(): boolean {
    return existsSync(this.path) && !statSync(this.path).isFile();
  }

  #replace(text: string): void {
    // A link stays one.
    const target = existsSync(this.path) ? realpathSync(this.path) : this.path;
    const aside = `${target}.${process.pid}.pending`;
    try {
      const handle = openSync(aside, 'wx');
      try {
        writeFileSync(handle, text);
      } finally {
        closeSync(handle);
      }
      renameSync(aside, target);
    } catch (error) {
      rmSync(aside, { force: true });
      throw error;
    }
  }
}
