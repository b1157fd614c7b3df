import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TroupeError, type FolderLock } from '@troupe/core';
import { LOGS } from 'troupe/control';
import { exitCodes, fileStorage, makeFolders, removeEmptyFolders } from 'troupe/launch';
import { exitLine } from '../exit-line.ts';
import { printError } from '../output.ts';

/** A folder that belongs to one run. */
export interface RunFolder {
  readonly path: string;
  /** The folder that was asked for but belongs to an earlier run; null when it was free. */
  readonly taken: string | null;
  /** Folders that were made for it, itself the last; none of a run that goes on. */
  readonly made: readonly string[];
  /** This process alone writes it. */
  readonly lock: FolderLock;
}

/** Most siblings that are tried. */
const SIBLINGS_MAX = 10_000;

/**
 * Makes a folder for a new run: the one asked for, or `NAME-2`, `NAME-3`, … when it exists.
 *
 * `mkdir` decides, so that two runs started at once never share one.
 *
 * @returns with its lock, which the caller releases
 * @throws {TroupeError} TROUPE_STORAGE_DENIED, TROUPE_STORAGE_FULL or TROUPE_STORAGE_FAILED naming the folder
 */
export async function claimRunFolder(wanted: string): Promise<RunFolder> {
  const folder = makeRunFolder(wanted);
  return { ...folder, lock: await fileStorage(folder.path).lock('', () => leaveLocked(folder.path)) };
}

/** Takes a folder that a process before this one has made for this run. */
export async function adoptRunFolder({ path, made }: Pick<RunFolder, 'path' | 'made'>): Promise<RunFolder> {
  return { path, taken: null, made, lock: await fileStorage(path).lock('', () => leaveLocked(path)) };
}

/** What a process does whose folder another one has taken over: its workers hear the pipe close and leave by themselves. */
export function leaveLocked(path: string): never {
  printError(
    exitLine(
      exitCodes.temporary,
      `another process took over run folder ${path} while this one was stopped; nothing more is written`,
    ),
  );
  process.exit(exitCodes.temporary);
}

function makeRunFolder(wanted: string): Omit<RunFolder, 'lock'> {
  const base = wanted.replace(/\/+$/u, '') || wanted;
  let above: readonly string[] = [];
  try {
    above = makeFolders(dirname(base));
    for (let number = 1; number <= SIBLINGS_MAX; number++) {
      const path = number === 1 ? base : `${base}-${number}`;
      try {
        mkdirSync(path);
        return { path, taken: number === 1 ? null : base, made: [...above, path] };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  } catch (error) {
    removeEmptyFolders(above);
    throw folderError(base, error as NodeJS.ErrnoException);
  }
  throw new TroupeError(
    'TROUPE_STORAGE_FAILED',
    `'${base}' has ${SIBLINGS_MAX} siblings already; choose another --run-dir`,
  );
}

function folderError(path: string, error: NodeJS.ErrnoException): TroupeError {
  const full = error.code === 'ENOSPC' || error.code === 'EDQUOT';
  const readOnly = error.code === 'EROFS' ? ', its file system is read-only' : '';
  const code = full
    ? 'TROUPE_STORAGE_FULL'
    : error.code === 'EACCES' || error.code === 'EROFS'
      ? 'TROUPE_STORAGE_DENIED'
      : 'TROUPE_STORAGE_FAILED';
  return new TroupeError(
    code,
    `cannot make the run folder '${path}' (${error.code ?? error.message}${readOnly}); choose another with --run-dir`,
    {
      retryable: full,
      cause: error,
    },
  );
}

/** Gives back the folder of a run that came to no step, and those above it that were made for it; what holds more than its metrics stays. */
export function releaseRunFolder({ path, made, lock }: RunFolder, metrics: readonly string[]): void {
  if (made.length === 0) return;
  // Done when it returns: the process may be about to exit.
  void lock.remove();
  for (const file of metrics) rmSync(join(path, file), { force: true });
  rmSync(join(path, LOGS), { recursive: true, force: true });
  removeEmptyFolders(made);
}
