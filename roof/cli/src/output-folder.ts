import { existsSync, rmdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { makeFolders, removeEmptyFolders } from 'troupe/launch';
import { UsageError } from './errors.ts';
import { codeOf, reasonOf } from './output-file.ts';

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
   * @throws {UsageError} TROUPE_USAGE: it exists or cannot be made
   */
  constructor(name: string, path: string) {
    this.path = path;
    const target = resolve(path);
    const taken = new UsageError(`${name} '${path}' exists; name a folder that does not`);
    if (existsSync(target)) throw taken;
    let made: readonly string[];
    try {
      made = makeFolders(target);
      // Whoever fills it makes it; now only whether that can be is asked.
      if (made.at(-1) === target) rmdirSync(target);
    } catch (error) {
      throw new UsageError(`${name} '${path}' cannot be made: ${reasonOf(codeOf(error))}`);
    }
    this.#made = made.slice(0, -1);
    // Another process was first.
    if (made.at(-1) !== target) throw taken;
  }

  /** Takes back the folders that were made, but for those with something in them. */
  release(): void {
    removeEmptyFolders([...this.#made, resolve(this.path)].filter((each) => existsSync(each)));
  }
}
