import { StorageDeniedError } from './storage-errors.ts';

/**
 * Brings a storage path into its one form: no leading, trailing or doubled `/`, no `.`; the root is `''`.
 *
 * Every body of `Storage` goes through here, so that none can be led out of its root.
 *
 * @throws {StorageDeniedError} TROUPE_STORAGE_DENIED for an absolute path, `..`, a backslash or a NUL
 */
export function storagePath(path: string): string {
  if (path.startsWith('/') || path.includes('\\') || path.includes('\0')) {
    throw new StorageDeniedError(path, 'a storage path is relative, with / between names');
  }
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) throw new StorageDeniedError(path, 'it leaves the root of the storage');
  return names.join('/');
}

/** Folder that holds `path` (in its one form); of the root, the root. */
export function parentFolder(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}
