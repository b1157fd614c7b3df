import { readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes that all entries together may have; the one that was just written stays, however large. */
export const CACHE_BYTES_MAX = 2 * 2 ** 30;

/** What Troupe keeps of data: whole entries, and entries that are being written. Anything else in the folder is not its business. */
const entryName = /^(?<kind>corpus|tokenizer)-[0-9a-f]{24}\.bin$/u;
const pendingName = /^(?:corpus|tokenizer)-[0-9a-f]{24}\.bin\..+\.tmp$/u;
/** Nothing is written for so long without a pause: whoever was writing is gone. */
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

/**
 * Removes the least recently used entries until the rest has at most `bytesMax` bytes, and what killed processes have left half written.
 *
 * @param kept - names that stay
 * @returns the entries that are gone
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
    if (file !== null && nowMs - file.mtimeMs > PENDING_MS) rmSync(join(folder, name), { force: true });
  }
  let bytes = 0;
  const gone: CachedEntry[] = [];
  const entries = cachedEntries(folder);
  for (const entry of entries) if (kept.has(entry.name)) bytes += entry.bytes;
  for (const entry of entries) {
    if (kept.has(entry.name)) continue;
    bytes += entry.bytes;
    if (bytes <= bytesMax) continue;
    rmSync(join(folder, entry.name), { force: true });
    gone.push(entry);
  }
  return gone;
}

/** Removes every entry. */
export const clearCache = (folder: string, nowMs: number): readonly CachedEntry[] =>
  trimCache(folder, { bytesMax: -1, kept: new Set(), nowMs });
