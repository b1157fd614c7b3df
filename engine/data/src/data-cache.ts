import { readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { StorageDeniedError, StorageFailedError } from '@troupe/core';

/** Bytes that all entries together may have; the one that was just written stays, however large. */
export const CACHE_BYTES_MAX = 2 * 2 ** 30;

/** What Troupe keeps of data: whole entries, and entries that are being written. Anything else in the folder is not its business. */
const entryName = /^(?<kind>corpus|tokenizer)-[0-9a-f]{24}\.bin$/u;
const pendingName = /^(?:corpus|tokenizer)-[0-9a-f]{24}\.bin\..+\.tmp$/u;
/** A file that nobody has written to for this long is abandoned: its writer is gone. */
const PENDING_MS = 3_600_000;

/** A tokenizer or a corpus that is kept between runs. */
export interface CachedEntry {
  readonly name: string;
  readonly kind: 'corpus' | 'tokenizer';
  readonly bytes: number;
  /** When it was last read or written, milliseconds since 1970. */
  readonly usedMs: number;
}

const namesIn = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
};

/** Size and time of a file; null when it is gone. */
function measured(path: string): { readonly size: number; readonly mtimeMs: number } | null {
  return statSync(path, { throwIfNoEntry: false }) ?? null;
}

/** The entries of a cache folder, the latest used first; none of a folder that is not there. */
export function cachedEntries(folder: string): readonly CachedEntry[] {
  const found = namesIn(folder).flatMap((name): CachedEntry[] => {
    const kind = entryName.exec(name)?.groups?.['kind'];
    const file = kind === undefined ? null : measured(join(folder, name));
    if (file === null) return [];
    return [{ name, kind: kind === 'corpus' ? kind : 'tokenizer', bytes: file.size, usedMs: file.mtimeMs }];
  });
  return found.sort((a, b) => b.usedMs - a.usedMs || (a.name < b.name ? -1 : 1));
}

/** Notes that an entry is used now. A cache that cannot be written to forgets it. */
export function touchEntry(path: string, nowMs: number): void {
  try {
    utimesSync(path, nowMs / 1000, nowMs / 1000);
  } catch {
    // Another user's, or read-only: then it is not ours to remove either.
  }
}

const denied = new Set(['EACCES', 'EPERM', 'EROFS']);

/** A file that is gone already is removed. */
function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException;
    if (!denied.has(code)) throw new StorageFailedError(path, `cannot be removed: ${message}`, { cause });
    const reason =
      code === 'EROFS' ? 'its file system is read-only (EROFS)' : `it cannot be removed (${code})`;
    throw new StorageDeniedError(path, reason, { cause });
  }
}

/**
 * Removes the least recently used entries until the rest has at most `bytesMax` bytes, and what killed processes have left half written.
 *
 * @param kept - names that stay
 * @returns the entries that are gone
 * @throws {StorageDeniedError | StorageFailedError} naming the first file that cannot be removed
 */
export function trimCache(
  folder: string,
  {
    bytesMax,
    kept,
    nowMs,
  }: { readonly bytesMax: number; readonly kept: ReadonlySet<string>; readonly nowMs: number },
): readonly CachedEntry[] {
  for (const name of namesIn(folder)) {
    const file = pendingName.test(name) ? measured(join(folder, name)) : null;
    if (file !== null && nowMs - file.mtimeMs > PENDING_MS) removeFile(join(folder, name));
  }
  let bytes = 0;
  const gone: CachedEntry[] = [];
  const entries = cachedEntries(folder);
  for (const entry of entries) if (kept.has(entry.name)) bytes += entry.bytes;
  for (const entry of entries) {
    if (kept.has(entry.name)) continue;
    bytes += entry.bytes;
    if (bytes <= bytesMax) continue;
    removeFile(join(folder, entry.name));
    gone.push(entry);
  }
  return gone;
}

/** Removes every entry. @throws {StorageDeniedError | StorageFailedError} naming the first file that cannot be removed */
export const clearCache = (folder: string, nowMs: number): readonly CachedEntry[] =>
  trimCache(folder, { bytesMax: -1, kept: new Set(), nowMs });
