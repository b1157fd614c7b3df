import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TroupeError } from '@troupe/core';
import { makeFolders, removeEmptyFolders } from 'troupe/launch';
import { METRICS_FILE } from './metrics-file.ts';

/** A folder that belongs to one run. */
export interface RunFolder {
  readonly path: string;
  /** The folder that was asked for but belongs to an earlier run; null when it was free. */
  readonly taken: string | null;
  /** Folders that were made for it, itself the last; none of a run that goes on. */
  readonly made: readonly string[];
}

/** Most siblings that are tried. */
const SIBLINGS_MAX = 10_000;

/**
 * Makes a folder for a new run: the one asked for, or `NAME-2`, `NAME-3`, … when it exists.
 *
 * `mkdir` decides, so that two runs started at once never share one.
 *
 * @throws {TroupeError} TROUPE_STORAGE_DENIED, TROUPE_STORAGE_FULL or TROUPE_STORAGE_FAILED naming the folder
 */
export function claimRunFolder(wanted: string): RunFolder {
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
export function releaseRunFolder({ path, made }: RunFolder): void {
  if (made.length === 0) return;
  rmSync(join(path, METRICS_FILE), { force: true });
  removeEmptyFolders(made);
}
