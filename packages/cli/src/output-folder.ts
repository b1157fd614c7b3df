import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { makeFolders, removeEmptyFolders } from 'troupe/launch';
import { UsageError } from './errors.ts';

/**
 * A folder that a command was told to write.
 *
 * OUT-2: nothing of that name exists before, and nothing of it is left when the command fails. Folders above it are made.
 */
export class OutputFolder {
  readonly path: string;
  readonly #made: readonly string[];

  /**
   * @param name - what named it, for people: `--out`
   * @throws {UsageError} TROUPE_USAGE: it exists, or the folder above it cannot be made
   */
  constructor(name: string, path: string) {
    this.path = path;
    if (existsSync(path)) throw new UsageError(`${name} '${path}' exists; name a folder that does not`);
    try {
      this.#made = makeFolders(dirname(resolve(path)));
    } catch (error) {
      const { code = 'the system refuses' } = error as NodeJS.ErrnoException;
      throw new UsageError(`${name} '${path}': cannot make the folder above it (${code})`);
    }
  }

  /** Takes back the folders that were made, but for those with something in them. */
  release(): void {
    removeEmptyFolders([...this.#made, resolve(this.path)].filter((each) => existsSync(each)));
  }
}
