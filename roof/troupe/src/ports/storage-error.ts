import {
  StorageDeniedError,
  StorageFailedError,
  StorageFullError,
  StorageMissingError,
  TroupeError,
} from '@troupe/core';

const full = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const denied = new Set(['EACCES', 'EPERM', 'EROFS']);

/** Turns an error of node:fs into one of the four of the `Storage` port; errors of ours pass through. */
export function storageError(path: string, cause: unknown): TroupeError {
  if (cause instanceof TroupeError) return cause;
  const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  const options = { cause, details: { errno } };
  if (full.has(errno)) return new StorageFullError(path, options);
  if (errno === 'ENOENT') return new StorageMissingError(path, options);
  if (denied.has(errno)) return new StorageDeniedError(path, errno, options);
  return new StorageFailedError(path, cause instanceof Error ? cause.message : String(cause), options);
}
