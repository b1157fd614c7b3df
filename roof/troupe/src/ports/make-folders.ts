import { existsSync, mkdirSync, rmdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it that are missing, one by one: Node's recursive `mkdir` says ENOENT where the file system is
 * read-only (EROFS).
 *
 * @returns the folders that were made, the outermost first
 * @throws {NodeJS.ErrnoException} what the system says of the first one that cannot be made; those before it are taken back
 */
export function makeFolders(path: string): readonly string[] {
  const missing: string[] = [];
  for (let at = path; !existsSync(at) && dirname(at) !== at; at = dirname(at)) missing.unshift(at);
  const made: string[] = [];
  // A file of that name: EEXIST.
  if (missing.length === 0 && !statSync(path).isDirectory()) mkdirSync(path);
  try {
    for (const each of missing) if (makeOne(each)) made.push(each);
  } catch (error) {
    removeEmptyFolders(made);
    throw error;
  }
  return made;
}

/** False when another process was first. */
function makeOne(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST' && statSync(path).isDirectory();
    if (!isThere) throw error;
    return false;
  }
}

/** Takes back what {@link makeFolders} made; a folder that somebody has put something into stays, and those above it. */
export function removeEmptyFolders(made: readonly string[]): void {
  try {
    for (const path of made.toReversed()) rmdirSync(path);
  } catch {
    // Not empty: somebody's files.
  }
}
